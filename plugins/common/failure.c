/* A failed build as people should read it. */
#include "common/failure.h"

#include <stdio.h>
#include <string.h>

#include "common/util.h"

void plug_shorten(char *to, size_t size, const char *text, size_t len)
{
    static const char dots[] = "…";
    bool whole = len < size;
    size_t cut = whole ? len : size - sizeof(dots);
    while (!whole && cut > 0 && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--; /* not within a character */
    memcpy(to, text, cut);
    memcpy(to + cut, whole ? "" : dots, whole ? 1 : sizeof(dots));
    for (char *at = to; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    }
}

bool plug_failure_tell(struct plug_failure *failure, int code, const char *hint, const char *fmt,
                       ...)
{
    char message[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    plug_shorten(failure->message, sizeof(failure->message), message, strlen(message));
    plug_shorten(failure->hint, sizeof(failure->hint), hint, strlen(hint));
    failure->code = code;
    return true;
}

int plug_failure_report(const struct plug_failure *failure, const struct strake_host *host,
                        struct strake_err *err)
{
    host->fail(err, failure->code, "%s", failure->message);
    if (failure->hint[0] != '\0')
        host->err_hint(err, "%s", failure->hint);
    if (failure->file[0] != '\0')
        host->err_place(err, failure->file, failure->line);
    host->err_detail(err, failure->detail, failure->detail_len);
    return failure->code;
}

void plug_login_hint(char *to, size_t size, const char *question, const char *image)
{
    /* What has no dot or port before its first slash is at Docker Hub. */
    size_t len = strcspn(image, "/");
    bool named =
        image[len] == '/' && (memchr(image, '.', len) != NULL || memchr(image, ':', len) != NULL);
    snprintf(to, size, "%s `strake login %.*s`", question, named ? (int)len : 9,
             named ? image : "docker.io");
}

const char *plug_exit_hint(int exit_code)
{
    switch (exit_code) {
    case 126:
        return "the file is there and cannot be executed: is it executable, and made for this "
               "platform?";
    case 127:
        return "a command was not found in the image: is it installed in this stage, and on PATH?";
    case 137:
        return "it was killed: is there too little memory where it is built?";
    case 139:
        return "it crashed (segmentation fault): is it made for this platform?";
    default:
        return "what it printed stands above; `strake history logs` shows it again";
    }
}
