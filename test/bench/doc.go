// Package bench has benchmarks of the whole engine on real files. The comparison with other tools is run by make bench.
package bench
