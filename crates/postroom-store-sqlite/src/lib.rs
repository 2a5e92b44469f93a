//! Both storage traits, embedded, in one SQLite file.
