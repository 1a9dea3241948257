//! Group commit: receipts and results wait in a bounded queue; a committer writes whatever waits in one
//! transaction, and answers each caller after the commit.
