//! The embedded parties, for administration.

use async_trait::async_trait;
use postroom_core::EmailAddress;
use postroom_core::party::Party;
use postroom_store::{Directory, Page, Result};

use super::types::PartyFilter;
use super::{SqliteCrm, parties};

/// So many parties are read at once.
const PAGE: u32 = 10_000;

#[async_trait]
impl Directory for SqliteCrm {
    async fn all_parties(&self) -> Result<Vec<(Party, Vec<EmailAddress>)>> {
        let mut all = Vec::new();
        let mut page = Page::first(PAGE);
        loop {
            let found = self.list_parties(&PartyFilter::default(), page).await?;
            let last = found.len() < PAGE as usize;
            all.extend(found.into_iter().map(|view| (view.party, view.addresses)));
            if last {
                return Ok(all);
            }
            page = page.next();
        }
    }

    async fn put_party(&self, party: &Party, addresses: &[EmailAddress]) -> Result<()> {
        let (party, addresses) = (party.clone(), addresses.to_vec());
        self.handle
            .write("party.put", move |db| {
                parties::save(db, &party)?;
                parties::set_addresses(db, party.id, &addresses)
            })
            .await
    }

    async fn put_parties(&self, parties: &[(Party, Vec<EmailAddress>)]) -> Result<()> {
        let all = parties.to_vec();
        self.handle
            .write("party.put_several", move |db| {
                for (party, addresses) in &all {
                    parties::save(db, party)?;
                    parties::set_addresses(db, party.id, addresses)?;
                }
                Ok(())
            })
            .await
    }
}
