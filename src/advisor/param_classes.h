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

#include "advisor/constants.h"
#include "advisor/workload.h"

/* Classes of one statement, at most. */
#define STEWARD_MAX_CLASSES STEWARD_SAMPLES

typedef struct StewardParamClass
{
	ParamListInfo params;		/* values for estimation only, NULL: none */
	double		share;			/* of the executions */
} StewardParamClass;

typedef struct StewardParamClasses
{
	int			count;
	StewardParamClass list[STEWARD_MAX_CLASSES];

	/*
	 * NULL unless these are samples: constants that are the same in all
	 * executions, for the planner to rely on, and the rest for estimation.
	 */
	ParamListInfo steady;
} StewardParamClasses;

/* What the analyzer found out about a parameter. */
typedef struct StewardParamType
{
	Oid			type;			/* InvalidOid: the parameter does not occur */
	int32		typmod;			/* that a literal in its place is read with */
} StewardParamType;

extern void steward_param_classes(const StewardStatement *statement,
								  List *queries, double rows,
								  StewardParamClasses *classes);

/* constants_classes.c */
extern void steward_constants_preset_types(StewardWorkload *workload,
										   StewardStatement *statement);
extern bool steward_constants_classes(const StewardStatement *statement,
									  const StewardParamType *types, int ntypes,
									  StewardParamClasses *classes);

#endif							/* STEWARD_PARAM_CLASSES_H */
