/* Runs one program and prints "ELAPSED_MS PEAK_MIB EXIT" on descriptor 3: a small parent, because a
 * child starts with the resident peak of whoever forked it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    double start = now_ms();
    struct rusage usage;
    int status;
    pid_t child;

    if (argc < 2)
        return 2;
    child = fork();
    if (child == 0) {
        fcntl(3, F_SETFD, FD_CLOEXEC);
        execvp(argv[1], &argv[1]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 1;
    dprintf(3, "%.3f %.3f %d\n", now_ms() - start, (double)usage.ru_maxrss / 1024,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128);
    return 0;
}
