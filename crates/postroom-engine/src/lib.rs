//! Pure plans and the effects that carry them out.
