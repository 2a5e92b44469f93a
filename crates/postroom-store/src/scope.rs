//! What can be written in one transaction.

use std::sync::Arc;

/// Names what one transaction can write.
///
/// A [`Store`](crate::Store) and a [`Crm`](crate::Crm) that name the same scope keep their rows in the
/// same place: what belongs together is then written in one unit of work instead of two. Scopes are
/// the same only where one was cloned from the other.
///
/// ```
/// use postroom_store::TransactionScope;
///
/// let scope = TransactionScope::new();
/// assert_eq!(scope, scope.clone());
/// assert_ne!(scope, TransactionScope::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransactionScope(Arc<()>);

impl TransactionScope {
    /// Another scope than all others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl PartialEq for TransactionScope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TransactionScope {}
