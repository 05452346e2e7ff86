/* core.dockerfile(): a Dockerfile as plain tables, for scripts/check.lua, which gives them their
 * methods. What a rule sees of them is told in docs/rules.md. */
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"
#include "dockerfile/sh.h"
#include "lua/engine_impl.h"

#define EXPANDED_MAX ((size_t)64 * 1024)
#define EXPAND_WORK ((size_t)1000000) /* steps of pattern matching */

/* ---- plain values ---- */

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void set_int(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_bool(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_texts(lua_State *L, const char *key, const struct strake_strings *list)
{
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_pushstring(L, list->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, key);
}

/* ---- shell ---- */

/* Where a text stands: in the logical line of an instruction, or in its here-document. */
struct origin {
    const struct strake_instruction *instruction; /* NULL: a here-document */
    size_t offset;
    const char *text;
    int line; /* of the here-document's first line */
};

struct cursor { /* how far the lines of a here-document were counted */
    size_t at;
    int line;
    size_t line_begin;
};

static void find_place(const struct origin *origin, struct cursor *cursor, size_t at, int *line,
                       int *column)
{
    if (origin->instruction) {
        strake_instruction_place(origin->instruction, origin->offset + at, line, column);
        return;
    }
    if (at < cursor->at)
        *cursor = (struct cursor){ .line = origin->line };
    for (; cursor->at < at; cursor->at++) {
        if (origin->text[cursor->at] != '\n')
            continue;
        cursor->line++;
        cursor->line_begin = cursor->at + 1;
    }
    *line = cursor->line;
    *column = (int)(at - cursor->line_begin) + 1;
}

static void set_place(lua_State *L, const struct origin *origin, struct cursor *cursor, size_t at,
                      size_t len)
{
    int line, column;

    find_place(origin, cursor, at, &line, &column);
    set_int(L, "line", line);
    set_int(L, "column", column);
    if (len > 0)
        find_place(origin, cursor, at + len - 1, &line, &column);
    set_int(L, "end_line", line);
    set_int(L, "end_column", column + (len > 0)); /* behind its last character */
}

static void push_words(lua_State *L, const struct strake_sh_command *command)
{
    lua_createtable(L, (int)(command->count - command->assignments), 0);
    for (size_t i = command->assignments; i < command->count; i++) {
        lua_pushstring(L, command->words[i].text);
        lua_rawseti(L, -2, (lua_Integer)(i - command->assignments) + 1);
    }
    lua_setfield(L, -2, "words");
    if (command->assignments == 0)
        return;
    lua_createtable(L, (int)command->assignments, 0);
    for (size_t i = 0; i < command->assignments; i++) {
        lua_pushstring(L, command->words[i].text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "assignments");
}

static void push_redirects(lua_State *L, const struct strake_sh_command *command)
{
    if (command->redirect_count == 0)
        return;
    lua_createtable(L, (int)command->redirect_count, 0);
    for (size_t i = 0; i < command->redirect_count; i++) {
        lua_createtable(L, 0, 2);
        set_text(L, "op", command->redirects[i].op);
        set_text(L, "target", command->redirects[i].target.text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "redirects");
}

/* Which of the words are literal: no quotes, nothing that the shell expands. */
static void push_marks(lua_State *L, const struct strake_sh_command *command)
{
    bool any = false;

    for (size_t i = command->assignments; i < command->count; i++)
        any = any || command->words[i].quoted || command->words[i].expands;
    if (!any)
        return;
    lua_createtable(L, 0, 4);
    lua_createtable(L, 0, 4);
    for (size_t i = command->assignments; i < command->count; i++) {
        const lua_Integer n = (lua_Integer)(i - command->assignments) + 1;
        if (command->words[i].quoted) {
            lua_pushboolean(L, 1);
            lua_rawseti(L, -3, n);
        }
        if (command->words[i].expands) {
            lua_pushboolean(L, 1);
            lua_rawseti(L, -2, n);
        }
    }
    lua_setfield(L, -3, "expands");
    lua_setfield(L, -2, "quoted");
}

static void push_command(lua_State *L, const struct strake_sh_command *command,
                         const struct origin *origin, struct cursor *cursor)
{
    lua_createtable(L, 0, 12);
    set_text(L, "op", strake_sh_op_text(command->op));
    set_int(L, "depth", command->depth);
    if (command->within >= 0)
        set_int(L, "within", command->within + 1);
    if (command->negated)
        set_bool(L, "negated", true);
    push_words(L, command);
    push_marks(L, command);
    push_redirects(L, command);
    set_place(L, origin, cursor, command->at, command->len);
}

/* A text's commands, appended to the list on top. */
static void add_commands(lua_State *L, const char *text, size_t len, const struct origin *origin)
{
    struct cursor cursor = { .line = origin->line };
    struct strake_sh *shell = lua_newuserdatauv(L, sizeof(*shell), 0);
    lua_Integer count = (lua_Integer)lua_rawlen(L, -2);

    *shell = (struct strake_sh){ 0 };
    luaL_setmetatable(L, "strake.shell"); /* whatever raises, it is disposed of */
    if (strake_sh_read(text, len, shell) < 0)
        luaL_error(L, "not enough memory");
    for (size_t i = 0; i < shell->count; i++) {
        push_command(L, &shell->commands[i], origin, &cursor);
        lua_rawseti(L, -3, ++count);
    }
    strake_sh_dispose(shell);
    lua_pop(L, 1);
}

static int shell_gc(lua_State *L)
{
    strake_sh_dispose(luaL_checkudata(L, 1, "strake.shell"));
    return 0;
}

/* ["a", "b"] is one command as it stands. */
static void push_json_command(lua_State *L, const struct strake_instruction *instruction,
                              size_t first)
{
    lua_createtable(L, 0, 8);
    set_text(L, "op", "");
    set_int(L, "depth", 0);
    lua_createtable(L, (int)instruction->args.count, 0);
    for (size_t i = first; i < instruction->args.count; i++) {
        lua_pushstring(L, instruction->args.items[i]);
        lua_rawseti(L, -2, (lua_Integer)(i - first) + 1);
    }
    lua_setfield(L, -2, "words");
    set_int(L, "line", instruction->line);
    set_int(L, "end_line", instruction->line);
    set_int(L, "column", 1);
    set_int(L, "end_column", 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static bool is_shell_name(const char *word)
{
    static const char *const names[] = { "sh", "bash", "ash", "dash", "ksh", "zsh", NULL };
    const char *slash = strrchr(word, '/');

    for (const char *const *name = names; *name; name++)
        if (strcmp(slash ? slash + 1 : word, *name) == 0)
            return true;
    return false;
}

/* `RUN <<EOF` runs the text; `RUN bash <<EOF` gives it to a shell; else it is some program's input. */
static bool runs_heredoc(const struct strake_instruction *run, const char *text)
{
    const char *content = run->heredocs[0].content;
    char word[32];
    size_t len;

    if (strncmp(text, "<<", 2) == 0)
        return strncmp(content, "#!", 2) != 0 || strstr(content, "sh\n");
    len = strcspn(text, " \t<");
    if (len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    return is_shell_name(word);
}

/* RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD: what they run. `outer` has the pieces. */
static void set_commands(lua_State *L, const struct strake_instruction *instruction,
                         const struct strake_instruction *outer)
{
    const bool health = strcmp(instruction->keyword, "HEALTHCHECK") == 0;
    const size_t first = health ? 1 : 0;
    struct origin origin = { .instruction = outer, .offset = instruction->text_at };

    lua_newtable(L);
    if (instruction->json) {
        push_json_command(L, instruction, first);
    } else if (instruction->args.count > first) {
        const char *text = instruction->args.items[first];
        if (health) /* its arguments stand somewhere behind its type */
            origin.offset += strlen(instruction->args.items[0]) + 1;
        add_commands(L, text, strlen(text), &origin);
        if (instruction->heredoc_count > 0 && runs_heredoc(instruction, text)) {
            origin = (struct origin){ .text = instruction->heredocs[0].content,
                                      .line = instruction->heredoc_line };
            add_commands(L, instruction->heredocs[0].content, instruction->heredocs[0].content_len,
                         &origin);
        }
    }
    lua_setfield(L, -2, "commands");
}

static bool has_commands(const struct strake_instruction *instruction)
{
    static const char *const keywords[] = { "RUN", "CMD", "ENTRYPOINT", NULL };

    for (const char *const *keyword = keywords; *keyword; keyword++)
        if (strcmp(instruction->keyword, *keyword) == 0)
            return true;
    return strcmp(instruction->keyword, "HEALTHCHECK") == 0 && instruction->args.count > 1;
}

/* ---- instructions ---- */

static void set_pairs(lua_State *L, const struct strake_instruction *instruction)
{
    lua_createtable(L, (int)instruction->pair_count, 0);
    for (size_t i = 0; i < instruction->pair_count; i++) {
        const struct strake_env_pair *pair = &instruction->pairs[i];
        lua_createtable(L, 0, 3);
        set_text(L, "name", pair->name);
        set_text(L, "value", pair->value);
        set_bool(L, "legacy", pair->legacy);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "pairs");
}

static void set_heredocs(lua_State *L, const struct strake_instruction *instruction)
{
    lua_createtable(L, (int)instruction->heredoc_count, 0);
    for (size_t i = 0; i < instruction->heredoc_count; i++) {
        const struct strake_heredoc *doc = &instruction->heredocs[i];
        lua_createtable(L, 0, 3);
        set_text(L, "name", doc->name);
        lua_pushlstring(L, doc->content, doc->content_len);
        lua_setfield(L, -2, "content");
        set_bool(L, "expand", doc->expand);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "heredocs");
}

static void push_instruction(lua_State *L, const struct strake_instruction *instruction,
                             const struct strake_instruction *outer)
{
    int line, column;

    luaL_checkstack(L, 16, NULL);
    lua_createtable(L, 0, 18);
    set_text(L, "keyword", instruction->keyword);
    set_text(L, "written", instruction->written);
    set_int(L, "line", outer->line);
    set_int(L, "end_line", outer->end_line);
    strake_instruction_place(outer, instruction == outer ? 0 : outer->text_at, &line, &column);
    set_int(L, "column", column);
    set_int(L, "end_column", column + (int)strlen(instruction->written));
    set_int(L, "stage_index", outer->stage);
    set_bool(L, "json", instruction->json);
    set_texts(L, "flags", &instruction->flags);
    set_texts(L, "args", &instruction->args);
    if (instruction->pair_count > 0)
        set_pairs(L, instruction);
    if (instruction->heredoc_count > 0)
        set_heredocs(L, instruction);
    if (has_commands(instruction))
        set_commands(L, instruction, outer);
    if (instruction->onbuild) {
        push_instruction(L, instruction->onbuild, outer);
        lua_setfield(L, -2, "onbuild");
    }
}

/* ---- the file ---- */

static void push_stages(lua_State *L, const struct strake_dockerfile *dockerfile)
{
    lua_createtable(L, (int)dockerfile->stage_count, 0);
    for (size_t i = 0; i < dockerfile->stage_count; i++) {
        const struct strake_stage *stage = &dockerfile->stages[i];
        lua_createtable(L, 0, 8);
        set_text(L, "name", stage->name);
        set_text(L, "base", stage->base);
        set_text(L, "platform", stage->platform);
        set_int(L, "line", stage->line);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "stages");
}

static void push_comments(lua_State *L, const struct strake_dockerfile *dockerfile)
{
    lua_createtable(L, (int)dockerfile->comment_count, 0);
    for (size_t i = 0; i < dockerfile->comment_count; i++) {
        lua_createtable(L, 0, 2);
        set_int(L, "line", dockerfile->comments[i].line);
        set_text(L, "text", dockerfile->comments[i].text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "comments");
}

static int dockerfile_gc(lua_State *L)
{
    strake_dockerfile_dispose(luaL_checkudata(L, 1, "strake.dockerfile"));
    return 0;
}

/* dockerfile(text, name) -> table, or nil and { message, line, hint } of what does not parse */
static int core_dockerfile(lua_State *L)
{
    struct strake_dockerfile *dockerfile;
    struct strake_err err = { 0 };
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len), *name = luaL_checkstring(L, 2);
    int rc;

    dockerfile = lua_newuserdatauv(L, sizeof(*dockerfile), 0);
    *dockerfile = (struct strake_dockerfile){ 0 };
    luaL_setmetatable(L, "strake.dockerfile");
    rc = strake_dockerfile_parse(text, len, name, dockerfile, &err);
    if (rc < 0 && rc != STRAKE_EDOCKERFILE)
        strake_lua_raise(L, &err);
    if (rc < 0) {
        lua_pushnil(L);
        lua_createtable(L, 0, 3);
        set_text(L, "message", strake_err_message(&err));
        set_text(L, "hint", err.hint ? err.hint : "");
        set_int(L, "line", err.line);
        strake_err_dispose(&err);
        return 2;
    }
    lua_createtable(L, 0, 10);
    lua_pushlstring(L, &dockerfile->escape, 1);
    lua_setfield(L, -2, "escape");
    set_text(L, "syntax", dockerfile->syntax);
    set_text(L, "check", dockerfile->check);
    push_comments(L, dockerfile);
    push_stages(L, dockerfile);
    lua_createtable(L, (int)dockerfile->count, 0);
    for (size_t i = 0; i < dockerfile->count; i++) {
        push_instruction(L, &dockerfile->instructions[i], &dockerfile->instructions[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "instructions");
    strake_dockerfile_dispose(dockerfile);
    return 1;
}

/* ---- variables ---- */

struct variables {
    lua_State *L;
    int index;
    bool missing;
};

/* Nothing here may raise: the one who asks has memory of its own. */
static const char *variable(void *ctx, const char *name)
{
    struct variables *variables = ctx;
    lua_State *L = variables->L;
    const char *value = NULL;

    for (lua_pushnil(L); lua_next(L, variables->index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING ||
            strcmp(lua_tostring(L, -2), name) != 0)
            continue;
        value = lua_tostring(L, -1); /* the table keeps it alive */
        lua_pop(L, 2);
        break;
    }
    variables->missing = variables->missing || !value;
    return value;
}

/* expand(text, variables, escape) -> text, whether one was missing; nil: it is no such text */
static int core_expand(lua_State *L)
{
    struct variables variables = { .L = L, .index = 2 };
    struct strake_buf *out;
    struct strake_err err = { 0 };
    size_t len, work = EXPAND_WORK;
    const char *text = luaL_checklstring(L, 1, &len);
    const struct strake_shell shell = {
        .escape = *luaL_optstring(L, 3, "\\"), .get = variable, .ctx = &variables, .work = &work
    };
    int rc;

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checkstack(L, 8, NULL);
    out = strake_lua_new_buffer(L, EXPANDED_MAX);
    rc = strake_shell_word(&shell, (struct strake_span){ text, len }, out, &err);
    strake_err_dispose(&err);
    if (rc < 0)
        return 0;
    lua_pushlstring(L, strake_buf_text(out), out->len);
    strake_buf_dispose(out);
    lua_pushboolean(L, variables.missing);
    return 2;
}

static void add_type(lua_State *L, const char *type, lua_CFunction gc)
{
    luaL_newmetatable(L, type);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

void strake_lua_open_dockerfile(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "dockerfile", core_dockerfile },
        { "expand", core_expand },
        { NULL, NULL },
    };

    add_type(L, "strake.shell", shell_gc);
    add_type(L, "strake.dockerfile", dockerfile_gc);
    strake_lua_core_add(L, functions);
}
