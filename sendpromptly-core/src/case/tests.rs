//! The rules of a case, one by one.
