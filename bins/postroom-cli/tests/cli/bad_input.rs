//! What a newcomer gets wrong: each has its own code, a cause and a hint, and nothing hangs.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::{Folder, Office, SERVICE, binary};

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn a_server_that_cannot_be_reached() {
    let office = Office::bare().await;
    office
        .profile(
            "Name",
            "https://mail.invalid/EWS/Exchange.asmx",
            SERVICE,
            "password",
            &[],
        )
        .await
        .ok();
    office
        .run(&["profile", "test", "Name", ADA])
        .await
        .failed(7, "name-not-resolved");

    // A port that nobody listens on: ours, given back.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/EWS/Exchange.asmx", closed.local_addr().unwrap());
    drop(closed);
    office
        .profile("Closed", &url, SERVICE, "password", &[])
        .await
        .ok();
    office
        .run(&["profile", "test", "Closed", ADA])
        .await
        .failed(7, "connection-refused");

    let url = office.listening.url();
    office
        .profile("Untrusted", &url, SERVICE, "password", &[])
        .await
        .ok();
    office
        .run(&["profile", "test", "Untrusted", ADA])
        .await
        .failed(7, "certificate-untrusted");

    let plain = url.replace("https:", "http:");
    office
        .profile("Plain", &plain, SERVICE, "password", &[])
        .await
        .ok();
    office
        .run(&["profile", "test", "Plain", ADA])
        .await
        .failed(7, "insecure-connection-refused");
}

#[tokio::test]
async fn a_server_that_is_something_else() {
    let office = Office::bare().await;
    let wrong = office
        .listening
        .url()
        .replace("/EWS/Exchange.asmx", "/owa/");
    office
        .profile("Wrong", &wrong, SERVICE, "password", &["--ca", "ca.pem"])
        .await
        .ok();
    office
        .run(&["profile", "test", "Wrong", ADA])
        .await
        .failed(7, "not-a-mail-server");

    let (url, web) = web_page().await;
    office
        .profile(
            "Web",
            &url,
            SERVICE,
            "password",
            &["--danger-allow-plain-http", "true"],
        )
        .await
        .ok();
    office
        .run(&["profile", "test", "Web", ADA])
        .await
        .failed(7, "not-a-mail-server");
    web.abort();
}

/// A web server that answers every request with a page.
async fn web_page() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/EWS/Exchange.asmx",
        listener.local_addr().unwrap()
    );
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 65536];
            let _ = stream.read(&mut request).await;
            let page = "<!DOCTYPE html><html><body>Welcome</body></html>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, task)
}

#[tokio::test]
async fn an_account_that_may_not() {
    let office = Office::bare().await;
    let url = office.listening.url();
    let ca = ["--ca", "ca.pem"];
    office
        .profile("Password", &url, SERVICE, "wrong-password", &ca)
        .await
        .ok();
    office
        .run(&["profile", "test", "Password", ADA])
        .await
        .failed(7, "credentials-rejected");

    office
        .profile("Powerless", &url, "powerless", "password", &ca)
        .await
        .ok();
    office
        .run(&["profile", "test", "Powerless", ADA])
        .await
        .failed(7, "impersonation-denied");

    office
        .profile("Office", &url, SERVICE, "password", &ca)
        .await
        .ok();
    office
        .run(&["profile", "test", "Office", "nobody@example.org"])
        .await
        .failed(7, "mailbox-not-found");

    office
        .profile(
            "Shut",
            &url,
            "shut",
            "password",
            &["--ca", "ca.pem", "--impersonation", "false"],
        )
        .await
        .ok();
    office
        .run(&["profile", "test", "Shut", "shut@example.org"])
        .await
        .failed(7, "ews-disabled");
    office.run(&["profile", "test", "Office", ADA]).await.ok();
}

#[tokio::test]
async fn a_mailbox_that_is_not_ready() {
    let office = Office::open().await;
    office.run(&["user", "create", "Ada", ADA]).await.ok();
    office
        .run(&["user", "create", "Zoe", "zoe@example.org"])
        .await
        .ok();
    let asked: u64 = office.exchange.request_counts().values().sum();
    office.run(&["test", ADA]).await.failed(7, "not-approved");
    assert_eq!(
        office.exchange.request_counts().values().sum::<u64>(),
        asked,
        "no traffic before approval"
    );

    office.run(&["approve", "--all"]).await.ok();
    office
        .run(&["test", "zoe@example.org"])
        .await
        .failed(7, "mailbox-not-found");
    // One passes and one fails: partly.
    assert_eq!(office.run(&["test", ADA, "zoe@example.org"]).await.code, 3);
    office
        .run(&["user", "create", "Ada again", ADA])
        .await
        .failed(1, "already-exists");
    office.run(&["profile", "delete", "Office"]).await;
    office.run(&["profile", "test", "Office", ADA]).await.ok();
}

#[tokio::test]
async fn names_that_do_not_exist() {
    let office = Office::open().await;
    office.run(&["user", "create", "Ada", ADA]).await.ok();
    let ran = office
        .run(&["mailbox", "show", "adaa@example.org"])
        .await
        .failed(4, "not-found");
    assert!(ran.err.contains("Did you mean ada@example.org?"), "{ran:?}");
    let ran = office
        .run(&["profile", "show", "Ofice"])
        .await
        .failed(4, "not-found");
    assert!(ran.err.contains("Did you mean Office?"), "{ran:?}");
    let ran = office
        .run(&["organization", "set", "correlation.token.prefx=X"])
        .await
        .failed(4, "not-found");
    assert!(
        ran.err.contains("Did you mean correlation.token.prefix?"),
        "{ran:?}"
    );
    office
        .run(&["explain", "<nothing@example.org>"])
        .await
        .failed(4, "not-found");
    office
        .run(&["email", "list", "--state", "lost"])
        .await
        .failed(2, "invalid-input");
    assert_eq!(office.run(&["emial"]).await.code, 2);
    assert_eq!(
        office
            .run(&["user", "create", "Nobody", "not an address"])
            .await
            .code,
        2
    );
    // Without a name there is no mailbox, and then no user either.
    for name in ["", " ", &"x".repeat(201)] {
        let ran = office
            .run(&["user", "create", name, "bob@example.org"])
            .await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("1 to 200 characters"), "{ran:?}");
    }
    for address in ["bob@@example.org", "bob@example..org", "bob@-"] {
        let ran = office.run(&["user", "create", "Bob", address]).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("must have one @"), "{ran:?}");
    }
    let users = office.run(&["user", "list"]).await.ok();
    assert!(!users.out.contains("Bob"), "{users:?}");
    assert!(!users.out.contains("bob@example.org"), "{users:?}");
    // Two of a name: nobody guesses which one is meant.
    office
        .run(&["user", "create", "Ada", "ada.two@example.org"])
        .await
        .ok();
    let ran = office.run(&["user", "deactivate", "Ada"]).await;
    ran.failed(2, "invalid-input");
    office.run(&["user", "deactivate", ADA]).await.ok();
    // Without a terminal nobody can be asked.
    let url = office.listening.url();
    office
        .run(&["profile", "create", "Silent", "--url", &url, "--user", "x"])
        .await
        .failed(2, "invalid-input");
}

#[tokio::test]
async fn a_store_that_cannot_be_used() {
    let folder = Folder::new();
    folder.run(&["status"]).await.failed(6, "not-found");
    folder.write(
        "postroom.sqlite",
        "This is a letter, not a database. ".repeat(100),
    );
    folder.run(&["status"]).await.failed(6, "store-corrupt");
    folder.run(&["init"]).await.failed(1, "already-exists");
    // An attempt that fails leaves no key behind.
    folder.write("file", "");
    let ran = folder.run(&["--store", "file/x.sqlite", "--key-file", "x.key", "init"]);
    assert_ne!(ran.await.code, 0);
    assert!(!folder.path("x.key").exists());

    let newer = Folder::new();
    newer.run(&["init"]).await.ok();
    // SQLite keeps the number that says which version wrote a file in bytes 60 to 63.
    let mut bytes = std::fs::read(newer.path("postroom.sqlite")).unwrap();
    bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    newer.write("postroom.sqlite", bytes);
    newer.run(&["status"]).await.failed(6, "store-too-new");
}

#[tokio::test]
async fn a_key_that_does_not_fit() {
    let office = Office::open().await;
    let other = Folder::new();
    other.run(&["init"]).await.ok();
    let key = other.path("postroom.key");
    let key = key.to_str().unwrap();
    office
        .run(&["--key-file", key, "status"])
        .await
        .failed(6, "key-wrong");
    office
        .run(&["--key-file", "no-such-file", "status"])
        .await
        .failed(6, "key-missing");
    office.folder.write("half", "postroom-key-1:abc");
    office
        .run(&["--key-file", "half", "status"])
        .await
        .failed(6, "key-wrong");
    office.run(&["status"]).await.ok();
}

#[tokio::test]
async fn a_second_engine_on_one_store() {
    let office = Office::open().await;
    let mut first = office.folder.command(binary());
    let mut first = first.arg("run").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(first.stderr.take().unwrap()).lines();
    let line = said.next_line().await.unwrap().unwrap();
    assert!(line.contains("the engine runs"), "{line}");
    // The line comes before the claim; what both need is tried until one of them has it.
    let mut tries = 0;
    let locked = loop {
        let ran = office.run(&["sync", "--output", "json"]).await.ok();
        if ran.json()["sync"]["engine_running"] == true {
            break true;
        }
        tries += 1;
        if tries == 50 {
            break false;
        }
    };
    assert!(locked, "the first engine never claimed the store");
    office.run(&["run"]).await.failed(6, "store-locked");
    // Administration goes on beside it.
    office.run(&["user", "create", "Ada", ADA]).await.ok();
    first.kill().await.unwrap();
}

#[tokio::test]
async fn failures_are_documents_for_programs() {
    let folder = Folder::new();
    let ran = folder.run(&["status", "--output", "json"]).await;
    assert_eq!(ran.code, 6);
    assert_eq!(ran.json()["error"]["code"], "not-found");
    assert!(ran.err.is_empty(), "{ran:?}");
}
