/* bake.import with a buildx of the test's own: what the real one says is tested in
 * tests/integration/test_bake.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "project/project.h"

#include "lua_fixture.h"
#include "torture.h"

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char *program;
    if (!fixture)
        return -1;
    fixture_open(fixture);
    fixture_write(
        fixture, "bin/buildx",
        "#!/bin/sh\n"
        "echo '{\"group\":{\"all\":{\"targets\":[\"app\"]}},\"target\":{\"app\":{"
        "\"context\":\".\",\"tags\":[\"h:1/a:1\"],\"args\":{\"A\":\"$${x}\"},"
        "\"cache-to\":[{\"type\":\"inline\"}],\"output\":[{\"type\":\"registry\"}]}}}'\n");
    fixture_write(fixture, "docker-bake.hcl", "\n");
    fixture_write(fixture, "strake.lua", "bake.import('docker-bake.hcl', { targets = 'all' })\n");
    program = strake_fs_join(fixture->dir, "bin/buildx");
    assert_int_equal(chmod(program, 0755), 0);
    *strrchr(program, '/') = '\0';
    setenv("PATH", program, 1);
    strake_free(program);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static int import(void *ctx)
{
    struct fixture *fixture = ctx;
    int rc;
    fixture_stop(fixture);
    rc = fixture_start(fixture);
    if (rc == 0)
        rc = strake_engine_load(fixture->engine, &fixture->project, &fixture->err);
    if (rc == 0) {
        const struct strake_target *target = strake_project_target(fixture->project, "app");
        const struct strake_group *group = strake_project_group(fixture->project, "all");
        assert_non_null(target);
        assert_string_equal(target->images.items[0], "h:1/a");
        assert_string_equal(strake_pairs_get(&target->args, "A"), "${x}");
        assert_string_equal(target->cache_to.items[0], "type=inline");
        assert_int_equal(group->targets.count, 1);
    }
    fixture_stop(fixture);
    return rc;
}

static void import_survives_each_failing_allocation(void **state)
{
    struct fixture *fixture = *state;
    int64_t start;
    strake_mem_fail_at(0, false);
    assert_int_equal(fixture_start(fixture), 0);
    start = strake_mem_count(); /* up to here test_engine.c sees to it */
    fixture_stop(fixture);
    torture_from(start, import, fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(import_survives_each_failing_allocation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
