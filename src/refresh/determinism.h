/*-------------------------------------------------------------------------
 *
 * determinism.h
 *	  Does an expression depend on anything but rows?
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_DETERMINISM_H
#define STEWARD_DETERMINISM_H

#include "nodes/nodes.h"

typedef enum StewardDeterminism
{
	STEWARD_DETERMINED,			/* by rows alone */
	STEWARD_BY_SETTINGS,		/* and settings such as TimeZone */
	STEWARD_UNDETERMINED
} StewardDeterminism;

extern StewardDeterminism steward_function_determinism(Oid function, Node *call,
													   char volatility);
extern const char *steward_expression_obstacle(Node *node);

#endif							/* STEWARD_DETERMINISM_H */
