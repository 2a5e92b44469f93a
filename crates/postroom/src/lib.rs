//! Email between a business application and its people's mail systems, kept in step from the server side.
//!
//! This crate is the paved path: it wires the engine, the adapters and the embedded store,
//! and re-exports what an embedding program needs.
//!
//! ```
//! use postroom::Postroom;
//! use postroom::core::organization::{Deployment, DeploymentKind};
//! use postroom::core::principal::Principal;
//! use postroom::sqlite::{KeySource, StorageOptions, create_key_file};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let key = folder.path().join("postroom.key");
//!     create_key_file(&key)?;
//!     let options = StorageOptions::new(folder.path()).with_key(KeySource::File(key));
//!     let deployment = Deployment::new(DeploymentKind::OnPremises);
//!     let postroom = Postroom::create(&options, "Contoso", deployment)?;
//!     let engine = postroom.engine().start();
//!     let operator = Principal::operator("setup");
//!     assert!(engine.admin().profiles(&operator).await?.is_empty());
//!     engine.stop().await?;
//!     Ok(())
//! }
//! ```
//!
//! | Module | What it holds |
//! |---|---|
//! | [`core`] | the domain: types and pure decisions |
//! | [`engine`] | the engine and administration |
//! | [`store`] | the storage traits; implement [`store::Crm`] for a database of your own |
//! | [`provider`] | the provider traits; implement them for another mail system |
//! | [`mime`] | messages and emails |
//! | `ews`, `imap`, `pop3`, `smtp`, `sqlite` | the adapters and the embedded store, by the features of these names |
//!
//! What it deliberately does not do: decide anything itself.

pub use postroom_core as core;
pub use postroom_engine as engine;
pub use postroom_mime as mime;
pub use postroom_net as net;
pub use postroom_provider as provider;
pub use postroom_store as store;

#[cfg(feature = "ews")]
pub use postroom_ews as ews;
#[cfg(feature = "imap")]
pub use postroom_imap as imap;
#[cfg(feature = "pop3")]
pub use postroom_pop3 as pop3;
#[cfg(feature = "smtp")]
pub use postroom_smtp as smtp;
#[cfg(feature = "sqlite")]
pub use postroom_store_sqlite as sqlite;

#[cfg(feature = "sqlite")]
mod open;

#[cfg(feature = "sqlite")]
pub use open::Postroom;
pub use postroom_engine::{
    Admin, AdminError, Engine, EngineBuilder, EngineError, EngineHandle, ErrorKind,
};

/// Every mail system that is switched on by the features of this crate. Add your own with
/// [`ProviderRegistry::with`](provider::ProviderRegistry::with).
#[must_use]
pub fn default_providers() -> provider::ProviderRegistry {
    let registry = provider::ProviderRegistry::new();
    #[cfg(feature = "ews")]
    let registry = registry
        .with(std::sync::Arc::new(ews::EwsFactory::exchange_server()))
        .with(std::sync::Arc::new(ews::EwsFactory::exchange_online()))
        .with_sender(
            core::profile::OutgoingProtocol::Ews,
            std::sync::Arc::new(ews::EwsFactory::exchange_server()),
        );
    // One TLS configuration for all accounts, whatever their protocol.
    #[cfg(any(feature = "imap", feature = "pop3", feature = "smtp"))]
    let clients = net::line::TlsClients::new();
    #[cfg(feature = "imap")]
    let registry = registry.with(std::sync::Arc::new(imap::ImapFactory::new(clients.clone())));
    #[cfg(feature = "pop3")]
    let registry = registry.with(std::sync::Arc::new(pop3::Pop3Factory::new(clients.clone())));
    #[cfg(feature = "smtp")]
    let registry = registry.with_sender(
        core::profile::OutgoingProtocol::Smtp,
        std::sync::Arc::new(smtp::SmtpFactory::new(clients)),
    );
    registry
}
