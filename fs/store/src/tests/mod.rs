//! Tests of the whole store, on devices in memory, against a model that is as simple as can be.

mod commit;
mod crash;
mod harness;
mod images;
mod log;
mod model;
mod model_edits;
mod poison;
mod random;
mod space;
