// Package fill makes stores that are full, for tests and benchmarks: tenants,
// tokens and months of records of any number, and rows as no honest provider
// would cause them. The same sizes give the same data, but for ids.
package fill
