//! Tests of the page cache through its public interface, over a disk that is a map in memory and can be made to stall or fail.

mod disk;
mod fixture;
mod fork_rule;
mod holes;
mod memory;
mod model;
mod objections;
mod policies;
mod ranges;
mod read_miss;
mod stress;
