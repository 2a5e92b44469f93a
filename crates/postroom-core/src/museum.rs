//! Defects that systems of this kind really had, planted on purpose to see whether the simulation
//! would notice. **No build that anybody uses has them.**
//!
//! They are compiled only under `--cfg postroom_museum`, which no feature, profile or variable of a
//! manifest can set; `tests/simulation/with-museum` sets it for the build of the simulation. In every
//! other build [`planted!`](crate::planted) is the constant `false` and this module has nothing in it.
//! Even in a museum's build nothing is planted until `plant` says so, and then on its own thread only.

#[cfg(postroom_museum)]
mod collection;

#[cfg(postroom_museum)]
pub use collection::{Defect, is_planted, plant};

/// Whether the named [defect](self) is planted; `false`, as a constant, in every normal build.
///
/// ```
/// # use postroom_core::planted;
/// if planted!(CursorBeforeRows) {
///     // What an engineer once got wrong.
/// }
/// ```
#[cfg(not(postroom_museum))]
#[macro_export]
macro_rules! planted {
    ($defect:ident) => {
        false
    };
}

/// Whether the named [defect](self) is planted on this thread.
#[cfg(postroom_museum)]
#[macro_export]
macro_rules! planted {
    ($defect:ident) => {
        $crate::museum::is_planted($crate::museum::Defect::$defect)
    };
}
