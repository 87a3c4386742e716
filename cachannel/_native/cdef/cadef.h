/* cadef.h: what Python calls directly. Channel and context calls go through engine.h. */

const char *ca_message(long status);
const char *ca_version(void);
