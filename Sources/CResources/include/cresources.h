#ifndef CRESOURCES_H
#define CRESOURCES_H

#include <stddef.h>

// Files that the programs carry inside themselves. The bytes are followed by a zero that `length` does not count.

// A numbered change of the database's schema, from migrations/.
struct cresources_migration {
    int version;
    const char *_Nonnull name;
    const unsigned char *_Nonnull bytes;
    size_t length;
};

// All migrations, in the order of their versions, which count from 1 without a gap.
extern const struct cresources_migration *_Nonnull const cresources_migrations;
extern const size_t cresources_migration_count;

// The contract of the HTTP interface, openapi.yaml.
extern const unsigned char *_Nonnull const cresources_openapi;
extern const size_t cresources_openapi_length;

// Patterns of log lines that tell the cause of a failure, Sources/Diagnosis/causes.json.
extern const unsigned char *_Nonnull const cresources_causes;
extern const size_t cresources_causes_length;

#endif
