//! Providers around providers.
