//! Tests of the tree: against a model, on the device, and under a small cache.

mod cache_use;
mod durability;
mod faults;
mod model;
mod ranges;
mod shape;
mod support;
