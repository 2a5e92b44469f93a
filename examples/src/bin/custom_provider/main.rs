//! A provider of one's own, held against the conformance suite.
//!
//! `drop_box.rs` is the provider, `fixture.rs` tells the suite how to try it. Run without arguments,
//! this prints what came of each check. docs/guides/write-a-provider.md walks through it.

mod drop_box;
mod fixture;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it finds")]
async fn main() -> anyhow::Result<()> {
    let report = postroom_conformance::provider::run_all(&fixture::DropBoxes).await;
    println!("{report}");
    anyhow::ensure!(
        report.is_success(),
        "the drop box does not keep its promises"
    );
    Ok(())
}

#[cfg(test)]
postroom_conformance::provider_conformance!(crate::fixture::DropBoxes);
