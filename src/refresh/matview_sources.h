/*-------------------------------------------------------------------------
 *
 * matview_sources.h
 *	  What the content of a materialized view depends on.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_MATVIEW_SOURCES_H
#define STEWARD_MATVIEW_SOURCES_H

#include "nodes/pg_list.h"

typedef struct StewardSources
{
	List	   *tables;			/* Oids of leaf tables, partitions and children
								 * included */
	List	   *matviews;		/* Oids of materialized views read directly or
								 * through views, not what lies behind them */
	List	   *others;			/* Oids of views and partitioned tables on the
								 * way: nothing is stored in them */
	uint64		signature;		/* of the definition */
	char	   *obstacle;		/* why changes cannot be followed, a phrase
								 * after "because", or NULL */
	bool		assumed;		/* only assume_deterministic makes it NULL */
	bool		calls_user_functions;
	bool		calls_user_code;	/* of these, ones in SQL or a procedural
									 * language, which may call others */
	bool		depends_on_settings;	/* such as TimeZone */
} StewardSources;

extern void steward_sources_read(Oid view, bool assume_deterministic,
								 StewardSources *sources);
extern uint64 steward_sources_settings(void);

#endif							/* STEWARD_MATVIEW_SOURCES_H */
