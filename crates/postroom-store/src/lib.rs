//! The storage traits: the engine's truth and the application's records.
