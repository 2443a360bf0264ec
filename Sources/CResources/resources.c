#include "cresources.h"

// clang names each embedded file in the dependency file it writes, so a change of one of them rebuilds this unit.
// The closing zero keeps an empty file from being an array of no elements, which C does not have.

static const unsigned char migration_0001[] = {
#embed "../../migrations/0001_create_tables.sql" suffix(,)
    0};

static const unsigned char migration_0002[] = {
#embed "../../migrations/0002_queue.sql" suffix(,)
    0};

static const unsigned char migration_0003[] = {
#embed "../../migrations/0003_curves.sql" suffix(,)
    0};

static const unsigned char migration_0004[] = {
#embed "../../migrations/0004_runs.sql" suffix(,)
    0};

static const unsigned char migration_0005[] = {
#embed "../../migrations/0005_dataset_tags.sql" suffix(,)
    0};

static const unsigned char migration_0006[] = {
#embed "../../migrations/0006_generations.sql" suffix(,)
    0};

static const unsigned char migration_0007[] = {
#embed "../../migrations/0007_clusters.sql" suffix(,)
    0};

static const unsigned char migration_0008[] = {
#embed "../../migrations/0008_access.sql" suffix(,)
    0};

static const struct cresources_migration migrations[] = {
    {1, "create_tables", migration_0001, sizeof migration_0001 - 1},
    {2, "queue", migration_0002, sizeof migration_0002 - 1},
    {3, "curves", migration_0003, sizeof migration_0003 - 1},
    {4, "runs", migration_0004, sizeof migration_0004 - 1},
    {5, "dataset_tags", migration_0005, sizeof migration_0005 - 1},
    {6, "generations", migration_0006, sizeof migration_0006 - 1},
    {7, "clusters", migration_0007, sizeof migration_0007 - 1},
    {8, "access", migration_0008, sizeof migration_0008 - 1},
};

const struct cresources_migration *const cresources_migrations = migrations;
const size_t cresources_migration_count = sizeof migrations / sizeof migrations[0];

static const unsigned char openapi[] = {
#embed "../../openapi.yaml" suffix(,)
    0};

const unsigned char *const cresources_openapi = openapi;
const size_t cresources_openapi_length = sizeof openapi - 1;

static const unsigned char causes[] = {
#embed "../Diagnosis/causes.json" suffix(,)
    0};

const unsigned char *const cresources_causes = causes;
const size_t cresources_causes_length = sizeof causes - 1;
