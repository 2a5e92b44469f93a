//! Runs exactly the commands that the guides print.

use crate::guide;

#[tokio::test]
async fn getting_started() {
    let said = guide::run(include_str!("../../../../docs/getting-started.md"), 16).await;
    for words in [
        "[not-approved]",
        "=> incoming: success, enabled",
        "=> outgoing: success, enabled",
        "Re: Quote for twelve lamps CRM:",
        "by tracking token",
        "filtered: no filter accepts",
        "item-corrupt",
        "correlation by tracking_token: matched",
        "the recipient's filter does not accept it",
    ] {
        assert!(said.contains(words), "nothing said {words:?}:\n{said}");
    }
}

macro_rules! guides {
    ($($name:ident: $file:literal, $blocks:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let guide = include_str!(concat!("../../../../docs/guides/", $file));
                guide::run(guide, $blocks).await;
            }
        )*
    };
}

guides! {
    on_premises: "on-premises.md", 14;
    online: "online.md", 11;
    hybrid: "hybrid.md", 8;
    several_offices: "several-offices.md", 10;
    pop3_smtp: "pop3-smtp.md", 8;
}
