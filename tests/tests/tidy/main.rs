//! Order in the house: what no compiler checks.

mod arrows;
mod documents;
mod functions;
mod source;
mod style;
mod text;
