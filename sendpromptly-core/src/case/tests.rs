//! The rules of a case, one by one, in the words of the documentation; then all of them against a model.

mod announced;
mod attempts;
mod interleavings;
mod model;
mod people;
mod replays;
mod results;
mod standing;
mod story;
mod time_outs;
