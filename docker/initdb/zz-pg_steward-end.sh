#!/bin/bash
# The last script of the first start: all others have succeeded.
rm -f "$PGDATA/pg_steward.initializing"
rm -rf /run/postgresql/pg_steward.secrets
