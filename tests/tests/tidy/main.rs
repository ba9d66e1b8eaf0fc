//! Order in the house: what no compiler checks.

mod arrows;
mod documents;
mod functions;
mod named_tests;
mod source;
mod style;
mod text;
