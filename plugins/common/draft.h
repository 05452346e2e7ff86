/* Files in the making, beside those that they will replace. Each is held by a lock while its maker
 * lives: what a killed process left behind is known by that, and taken away by the next. */
#ifndef STRAKE_PLUGINS_COMMON_DRAFT_H
#define STRAKE_PLUGINS_COMMON_DRAFT_H

/** A new file FOLDER/PREFIXxxxxxx, 0644, open for reading and writing; those of the same prefix that
 *  nobody holds are removed. The name has to be moved away or removed before the descriptor is
 *  closed. @param path the caller's (free); NULL when it failed. @return the descriptor, or -1 with
 *  errno */
int plug_draft_open(const char *folder, const char *prefix, char **path);

#endif
