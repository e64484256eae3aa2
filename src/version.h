/* The version of the library, told by pg_status_version(). The one place it is written. */
#ifndef PG_STATUS_VERSION_H
#define PG_STATUS_VERSION_H

#define PG_STATUS_VERSION "1.1.0"

#endif
