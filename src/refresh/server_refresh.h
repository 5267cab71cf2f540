/*-------------------------------------------------------------------------
 *
 * server_refresh.h
 *	  REFRESH MATERIALIZED VIEW of a view whose freshness we know.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SERVER_REFRESH_H
#define STEWARD_SERVER_REFRESH_H

extern void steward_server_refresh_init(void);

#endif							/* STEWARD_SERVER_REFRESH_H */
