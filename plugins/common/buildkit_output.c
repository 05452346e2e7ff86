/* The --output record of a build. */
#include "common/buildkit_output.h"

#include <stdio.h>
#include <string.h>

/* Pushed by digest, or written to a folder as an OCI layout. */
void buildkit_output_stage(const struct strake_build_request *request, struct plug_text *record)
{
    if (request->image[0] == '\0') {
        const char *dir = request->layout_dir;
        plug_csv_add(record, "type", "oci");
        plug_csv_add(record, "dest", dir[0] != '\0' ? dir : BUILDKIT_LAYOUT);
        plug_csv_add(record, "tar", "false");
        return;
    }
    plug_csv_add(record, "type", "image");
    plug_csv_add(record, "name", request->image);
    plug_csv_add(record, "push", "true");
    plug_csv_add(record, "push-by-digest", "true");
    plug_csv_add(record, "oci-mediatypes", "true");
    if (request->plain_http)
        plug_csv_add(record, "registry.insecure", "true");
}

int buildkit_output_file(const struct strake_host *host, const char *client,
                         const struct strake_build_request *request, struct plug_text *record,
                         struct strake_err *err)
{
    const char *type = request->output_type;
    bool archive = strcmp(type, "oci") == 0 || strcmp(type, "docker") == 0;
    if (!archive && strcmp(type, "local") != 0 && strcmp(type, "tar") != 0)
        return host->fail(err, STRAKE_EUNSUPPORTED, "%s cannot write type=%s", client, type);
    if (request->output_dest[0] == '\0')
        return host->fail(err, STRAKE_EUSAGE, "type=%s needs a dest", type);
    plug_csv_add(record, "type", type);
    plug_csv_add(record, "dest", request->output_dest);
    if (archive && request->image[0] != '\0')
        plug_csv_add(record, "name", request->image);
    return 0;
}

bool buildkit_output_is_image(const struct strake_build_request *request)
{
    return request->output == STRAKE_OUTPUT_STAGE ||
           (request->output == STRAKE_OUTPUT_FILE && (strcmp(request->output_type, "oci") == 0 ||
                                                      strcmp(request->output_type, "docker") == 0));
}

void buildkit_output_layers(const struct strake_build_request *request, struct plug_text *record)
{
    if (request->compression[0] != '\0')
        plug_csv_add(record, "compression", request->compression);
    if (request->compression_level > 0) {
        char level[16];
        snprintf(level, sizeof(level), "%d", request->compression_level);
        plug_csv_add(record, "compression-level", level);
    }
    if (request->force_compression)
        plug_csv_add(record, "force-compression", "true");
    if (request->rewrite_timestamp)
        plug_csv_add(record, "rewrite-timestamp", "true");
}
