/*-------------------------------------------------------------------------
 *
 * param_classes.h
 *	  Typical values of a statement's parameters.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PARAM_CLASSES_H
#define STEWARD_PARAM_CLASSES_H

#include "nodes/params.h"
#include "nodes/pg_list.h"

/* Classes of one statement, at most. */
#define STEWARD_MAX_CLASSES 2

typedef struct StewardParamClass
{
	ParamListInfo params;		/* values for estimation only, NULL: none */
	double		share;			/* of the executions */
} StewardParamClass;

extern int	steward_param_classes(List *queries, double rows,
								  StewardParamClass *classes);

#endif							/* STEWARD_PARAM_CLASSES_H */
