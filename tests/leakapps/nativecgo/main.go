// Memory from C that nobody frees: the Go heap stays small and the process grows.
package main

/*
#include <stdlib.h>
#include <string.h>
static void *grab(size_t size) { void *p = malloc(size); memset(p, 1, size); return p; }
*/
import "C"

import "bilgepump.dev/leakapps/harness"

func thumbnail() { C.grab(64 << 10) }

func main() {
	units := int64(0)
	harness.Serve(func(int) { thumbnail(); units++ }, func() int64 { return units * 64 << 10 })
}
