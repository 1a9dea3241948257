//! An organization's audit log as a whole: walked to find where it was tampered with, and exported.

pub mod export;
pub mod walk;
