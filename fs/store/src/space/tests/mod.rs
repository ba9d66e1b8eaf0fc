//! Tests of free space: allocation, promises, freeing, bitmaps on the device, threads.

mod allocation;
mod freeing;
mod loading;
mod model;
mod support;
mod threads;
mod unify;
