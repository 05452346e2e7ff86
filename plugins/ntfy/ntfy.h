/* The ntfy plugin: messages to phones and browsers through an ntfy server.
 *
 *   plugin.c    the instance: options, address, vtable
 *   message.c   the body of a message, pure
 *   answer.c    a refused request in words
 *   send.c      the methods */
#ifndef NTFY_NTFY_H
#define NTFY_NTFY_H

#include "common/options.h"
#include "common/util.h"

/** What a server takes as a message: one of its limit of 4,096 bytes is an attachment already. */
#define NTFY_MESSAGE_MAX ((size_t)4095)
#define NTFY_TITLE_MAX ((size_t)250)
#define NTFY_TAGS_MAX 16
#define NTFY_TAG_MAX ((size_t)64)
#define NTFY_CLICK_MAX ((size_t)2048)
#define NTFY_ANSWER_MAX ((size_t)64 * 1024)

/** An instance: one topic of one server. Constant after open(). */
struct ntfy {
    const struct strake_host *host;
    char *url; /**< as given; afterwards the server's, without a slash at its end */
    char *topic;
    struct plug_secret token;
    char *username;
    struct plug_secret password;
    int64_t priority; /**< 0: the message's own */
    char **tags;      /**< put on each message */
    int64_t timeout_ms;
    char *ca;
    bool plain_http;
};

/** May this be the name of a topic? Letters, digits, - and _, at most 64. */
bool ntfy_topic_valid(const char *topic);

/** Append at most `max` bytes of `text`, cut between characters with "…" behind; bytes that are no
 *  UTF-8 become U+FFFD. */
void ntfy_clip(struct plug_text *out, const char *text, size_t max);

/** The JSON to post. @return a string of the caller's (free()), or NULL: out of memory. */
char *ntfy_body(const struct ntfy *ntfy, const struct strake_message *message);

/** Describe an answer that is no success. @return STRAKE_ENETWORK: it may be tried again later;
 *  STRAKE_EAUTH or STRAKE_ENOTIFY: never */
int ntfy_refused(const struct ntfy *ntfy, int status, const char *answer, const char *headers,
                 struct strake_err *err);

/** The methods of notifier/1. */
int ntfy_send(void *self, const struct strake_message *message, struct strake_job *job,
              struct strake_buf *receipt, struct strake_err *err);
int ntfy_ping(void *self, struct strake_job *job, struct strake_buf *detail,
              struct strake_err *err);

#endif
