//! The correlation index.

use postroom_core::email::{ContentIdentity, ContentKey, ConversationIndex, Direction};
use postroom_core::tracking::{
    CANDIDATES_MAX, Candidates, CorrelationQuery, IndexedEmail, SmartQuery, TrackingToken,
};
use postroom_core::{RecordId, Timestamp};
use postroom_store::{KnownQuery, LedgerFilter, Page};

use crate::check::{CheckResult, Stop, ensure, ensure_eq};
use crate::store::case::{
    Case, MINUTE, NOW, deliver, indexed, message_id, record, subject_key, terms,
};

async fn keep(case: &Case, emails: Vec<IndexedEmail>) -> CheckResult {
    let emails: Vec<_> = emails.into_iter().map(|email| (email, None)).collect();
    case.store().index_emails(&emails).await?;
    Ok(())
}

async fn ask(case: &Case, query: CorrelationQuery) -> CheckResult<Candidates> {
    // Beside another query: answers must not be mixed up.
    let found = case
        .store()
        .candidates(&[CorrelationQuery::default(), query])
        .await?;
    let [nothing, found] = <[Candidates; 2]>::try_from(found)
        .map_err(|other| Stop::failed(format!("two queries have {} answers", other.len())))?;
    ensure_eq!(
        nothing,
        Candidates::default(),
        "the answer to an empty query"
    );
    Ok(found)
}

fn records(emails: &[IndexedEmail]) -> Vec<RecordId> {
    emails.iter().map(|email| email.record).collect()
}

pub(in crate::store) async fn message_ids_and_aliases_are_found(case: &mut Case) -> CheckResult {
    let mut one = indexed(1, 10, &[1], &[1]);
    one.message_ids = vec![message_id("one@x")?, message_id("alias@x")?];
    one.regarding = Some(record(77));
    one.direction = Direction::Outgoing;
    let mut two = indexed(2, 5, &[1], &[1]);
    two.message_ids = vec![message_id("two@x")?];
    let mut case_differs = indexed(3, 5, &[1], &[1]);
    case_differs.message_ids = vec![message_id("ONE@x")?];
    keep(case, vec![one.clone(), two.clone(), case_differs]).await?;
    let mut query = CorrelationQuery::default();
    query.message_ids = vec![
        message_id("alias@x")?,
        message_id("two@x")?,
        message_id("none@x")?,
    ];
    let found = ask(case, query.clone()).await?;
    ensure_eq!(
        found.by_message_id,
        vec![two, one.clone()],
        "emails, newest first, whole"
    );
    query.message_ids = vec![message_id("one@x")?, message_id("alias@x")?];
    let found = ask(case, query).await?;
    ensure_eq!(found.by_message_id, vec![one], "an email found twice over");
    Ok(())
}

pub(in crate::store) async fn tokens_are_found_without_case(case: &mut Case) -> CheckResult {
    let mut one = indexed(1, 10, &[1], &[1]);
    one.token = Some(TrackingToken::new("CRM:0001001"));
    let mut newer = indexed(2, 5, &[1], &[1]);
    newer.token = Some(TrackingToken::new("crm:0001001"));
    keep(
        case,
        vec![one.clone(), newer.clone(), indexed(3, 1, &[1], &[1])],
    )
    .await?;
    let mut query = CorrelationQuery::default();
    query.tokens = vec![
        TrackingToken::new("Crm:0001001"),
        TrackingToken::new("CRM:0001002"),
    ];
    let found = ask(case, query).await?;
    ensure_eq!(
        found.by_token,
        vec![newer, one],
        "emails with the token, newest first"
    );
    let asked = [
        TrackingToken::new("CRM:0001002"),
        TrackingToken::new("crm:0001001"),
    ];
    ensure_eq!(
        case.store().tokens_taken(&asked).await?,
        [false, true],
        "tokens taken, in order"
    );
    Ok(())
}

fn conversation(root: u8, replies: usize) -> CheckResult<ConversationIndex> {
    let mut bytes = vec![root; ConversationIndex::ROOT_BYTES];
    bytes.extend(std::iter::repeat_n(7, replies * 5));
    ConversationIndex::from_bytes(bytes).ok_or_else(|| Stop::failed("no conversation index"))
}

pub(in crate::store) async fn a_conversation_is_found_newest_first(case: &mut Case) -> CheckResult {
    let mut emails = Vec::new();
    for (n, minutes_ago, root) in [(1, 30, 1), (2, 10, 1), (3, 20, 1), (4, 5, 2)] {
        let mut email = indexed(n, minutes_ago, &[1], &[1]);
        email.conversation_index = Some(conversation(root, 1)?);
        emails.push(email);
    }
    keep(case, emails).await?;
    let mut query = CorrelationQuery::default();
    query.conversation_root = Some(conversation(1, 0)?.root().to_vec());
    let found = ask(case, query).await?;
    ensure_eq!(
        records(&found.by_conversation),
        [record(2), record(3), record(1)],
        "the conversation"
    );
    ensure!(!found.conversation_cut, "a small conversation was cut");
    Ok(())
}

pub(in crate::store) async fn a_large_conversation_is_cut(case: &mut Case) -> CheckResult {
    let mut emails = Vec::new();
    for (n, minutes_ago) in (0..).zip(0..=CANDIDATES_MAX) {
        let minutes_ago = u32::try_from(minutes_ago).map_err(Stop::failed)?;
        let mut email = indexed(n, minutes_ago, &[1], &[1]);
        email.conversation_index = Some(conversation(1, 1)?);
        emails.push(email);
    }
    keep(case, emails).await?;
    let mut query = CorrelationQuery::default();
    query.conversation_root = Some(conversation(1, 0)?.root().to_vec());
    let found = ask(case, query).await?;
    ensure_eq!(
        found.by_conversation.len(),
        CANDIDATES_MAX,
        "how many are listed"
    );
    ensure!(found.conversation_cut, "nothing says that there are more");
    ensure_eq!(
        found.by_conversation.first().map(|email| email.record),
        Some(record(0)),
        "the newest"
    );
    Ok(())
}

fn smart(words: &[u64], addresses: &[u64]) -> SmartQuery {
    SmartQuery::new(
        subject_key(words),
        terms(words),
        terms(addresses),
        Timestamp::EPOCH,
    )
}

async fn ask_smart(case: &Case, smart: SmartQuery) -> CheckResult<(Vec<RecordId>, bool)> {
    let mut query = CorrelationQuery::default();
    query.smart = Some(smart);
    let found = ask(case, query).await?;
    Ok((records(&found.by_smart_matching), found.smart_cut))
}

pub(in crate::store) async fn smart_matching_needs_words_and_addresses(
    case: &mut Case,
) -> CheckResult {
    let emails = vec![
        indexed(1, 40, &[1, 2], &[1, 2, 3]),
        indexed(2, 30, &[1, 2], &[1, 9]),
        indexed(3, 20, &[1, 2, 3], &[1, 2, 3]),
        indexed(4, 10, &[2, 1], &[3, 2]),
        indexed(5, 10, &[], &[1, 2, 3]),
    ];
    keep(case, emails).await?;
    let found = ask_smart(case, smart(&[1, 2], &[1, 2, 3])).await?;
    ensure_eq!(
        found,
        (vec![record(4), record(1)], false),
        "two shared addresses of three"
    );
    let mut three = smart(&[1, 2], &[1, 2, 3]);
    three.addresses_min = 3;
    let found = ask_smart(case, three).await?;
    ensure_eq!(
        found,
        (vec![record(1)], false),
        "three shared addresses of three"
    );
    let found = ask_smart(case, smart(&[1, 2], &[3])).await?;
    ensure_eq!(
        found,
        (vec![], false),
        "fewer addresses than must be shared"
    );
    let found = ask_smart(case, smart(&[], &[1, 2, 3])).await?;
    ensure_eq!(found, (vec![], false), "a subject without a word");
    Ok(())
}

pub(in crate::store) async fn smart_matching_looks_back_only_so_far(
    case: &mut Case,
) -> CheckResult {
    keep(
        case,
        vec![indexed(1, 60, &[1], &[1, 2]), indexed(2, 30, &[1], &[1, 2])],
    )
    .await?;
    let mut query = smart(&[1], &[1, 2]);
    query.since = NOW.minus(45 * MINUTE);
    let found = ask_smart(case, query.clone()).await?;
    ensure_eq!(found.0, [record(2)], "emails since then");
    query.since = NOW.minus(60 * MINUTE);
    let found = ask_smart(case, query).await?;
    ensure_eq!(found.0, [record(2), record(1)], "emails since exactly then");
    Ok(())
}

pub(in crate::store) async fn smart_matching_allows_for_a_difference(
    case: &mut Case,
) -> CheckResult {
    let emails = vec![
        indexed(1, 50, &[1, 2, 3], &[1, 2]),
        indexed(2, 40, &[1, 2], &[1, 2]),
        indexed(3, 30, &[1, 2, 3, 4], &[1, 2]),
        indexed(4, 20, &[1, 2, 3, 4, 5], &[1, 2]),
        indexed(5, 10, &[1, 2, 9], &[1, 3]),
    ];
    keep(case, emails).await?;
    let mut query = smart(&[1, 2, 3], &[1, 2]);
    query.subject_delta = 1;
    let found = ask_smart(case, query).await?;
    ensure_eq!(
        found,
        (vec![record(3), record(2), record(1)], false),
        "at most one word more or less"
    );
    Ok(())
}

pub(in crate::store) async fn a_common_address_does_not_hide_a_rare_one(
    case: &mut Case,
) -> CheckResult {
    // Everybody writes to 1 about the same thing; one customer did so long ago.
    let mut emails: Vec<_> = (10..400)
        .map(|n| indexed(n, 1, &[1], &[1, 1000 + n]))
        .collect();
    emails.push(indexed(1, 5000, &[1], &[1, 2]));
    keep(case, emails).await?;
    let found = ask_smart(case, smart(&[1], &[1, 2])).await?;
    ensure_eq!(found, (vec![record(1)], false), "the customer's email");
    let mut near = smart(&[1], &[1, 2]);
    near.subject_delta = 1;
    let found = ask_smart(case, near).await?;
    ensure_eq!(
        found,
        (vec![record(1)], false),
        "the same where words may differ"
    );
    Ok(())
}

pub(in crate::store) async fn too_many_matches_are_cut(case: &mut Case) -> CheckResult {
    let emails = (0..200).map(|n| indexed(n, 1, &[1], &[1, 2])).collect();
    keep(case, emails).await?;
    let (found, cut) = ask_smart(case, smart(&[1], &[1, 2])).await?;
    ensure!(cut, "nothing says that there are more");
    ensure!(found.len() <= CANDIDATES_MAX, "{} are listed", found.len());
    Ok(())
}

pub(in crate::store) async fn an_email_indexed_again_is_replaced(case: &mut Case) -> CheckResult {
    let mut email = indexed(1, 60, &[1], &[1, 2]);
    email.message_ids = vec![message_id("old@x")?];
    email.token = Some(TrackingToken::new("CRM:1"));
    keep(case, vec![email]).await?;
    let mut email = indexed(1, 30, &[2], &[1, 2]);
    email.message_ids = vec![message_id("new@x")?];
    keep(case, vec![email.clone()]).await?;
    let mut query = CorrelationQuery::default();
    query.message_ids = vec![message_id("old@x")?];
    query.tokens = vec![TrackingToken::new("CRM:1")];
    query.smart = Some(smart(&[1], &[1, 2]));
    ensure_eq!(
        ask(case, query).await?,
        Candidates::default(),
        "what was kept before"
    );
    let found = ask_smart(case, smart(&[2], &[1, 2])).await?;
    ensure_eq!(found.0, [record(1)], "what is kept now");
    ensure_eq!(
        case.store().indexed(record(1)).await?,
        Some(email),
        "the entry"
    );
    ensure_eq!(
        case.store().indexed(record(2)).await?,
        None,
        "the entry of no email"
    );
    Ok(())
}

pub(in crate::store) async fn known_email_is_found_by_key_and_by_message_id(
    case: &mut Case,
) -> CheckResult {
    let (one, two) = (
        ContentKey::from_bytes([1; 32]),
        ContentKey::from_bytes([2; 32]),
    );
    let mut first = indexed(1, 10, &[1], &[1]);
    first.message_ids = vec![message_id("same@x")?];
    let mut second = indexed(2, 10, &[1], &[1]);
    second.message_ids = vec![message_id("same@x")?];
    second.direction = Direction::Outgoing;
    case.store()
        .index_emails(&[(first, Some(one)), (second, None)])
        .await?;
    let queries = [
        KnownQuery::new(two, None),
        KnownQuery::new(one, None),
        KnownQuery::new(one, Some(message_id("same@x")?)),
        KnownQuery::new(two, Some(message_id("same@x")?)),
    ];
    let mut seen = Vec::new();
    for known in case.store().known_emails(&queries).await? {
        let mut found: Vec<_> = known
            .into_iter()
            .map(|known| (known.record, known.direction, known.key))
            .collect();
        found.sort();
        seen.push(found);
    }
    let (incoming, outgoing) = (
        (record(1), Direction::Incoming, Some(one)),
        (record(2), Direction::Outgoing, None),
    );
    let both = vec![incoming, outgoing];
    ensure_eq!(
        seen,
        [vec![], vec![incoming], both.clone(), both],
        "known emails, in order of the queries"
    );
    Ok(())
}

pub(in crate::store) async fn settling_feeds_the_index(case: &mut Case) -> CheckResult {
    let (user, lease) = case.incoming(1).await?;
    case.list(&lease, &[1, 2]).await?;
    let key = ContentKey::from_bytes([5; 32]);
    let mut email = indexed(1, 0, &[1], &[1]);
    email.message_ids = vec![message_id("one@x")?];
    let mut settlement = deliver(user.id, 1);
    settlement.identity = Some(ContentIdentity::MessageId(key));
    settlement.index = Some((email, Some(key)));
    let mut refused = deliver(user.id, 9);
    refused.index = Some((indexed(9, 0, &[1], &[1]), None));
    ensure!(
        case.store()
            .settle(&lease, &[settlement.clone(), refused])
            .await
            .is_err(),
        "a row that is not there was settled"
    );
    ensure_eq!(
        case.store().indexed(record(1)).await?,
        None,
        "the index after a refusal"
    );
    case.store().settle(&lease, &[settlement.clone()]).await?;
    let known = case
        .store()
        .known_emails(&[KnownQuery::new(key, None)])
        .await?;
    ensure_eq!(known.iter().flatten().count(), 1, "known emails");
    let rows = case
        .store()
        .ledger(&LedgerFilter::default(), Page::first(10))
        .await?;
    let kept = rows.iter().find(|row| row.id == settlement.id);
    ensure_eq!(
        kept.and_then(|row| row.identity),
        settlement.identity,
        "the identity in the ledger"
    );
    Ok(())
}

pub(in crate::store) async fn the_index_survives_reopening(case: &mut Case) -> CheckResult {
    let mut email = indexed(1, 10, &[1, 2], &[1, 2]);
    email.message_ids = vec![message_id("one@x")?];
    email.token = Some(TrackingToken::new("CRM:1"));
    email.conversation_index = Some(conversation(3, 2)?);
    keep(case, vec![email.clone()]).await?;
    case.reopen().await?;
    let mut query = CorrelationQuery::default();
    query.message_ids = email.message_ids.clone();
    query.tokens = email.token.clone().into_iter().collect();
    query.conversation_root = Some(conversation(3, 0)?.root().to_vec());
    query.smart = Some(smart(&[1, 2], &[1, 2]));
    let found = ask(case, query).await?;
    let mut expected = Candidates::default();
    expected.by_message_id = vec![email.clone()];
    expected.by_token = vec![email.clone()];
    expected.by_conversation = vec![email.clone()];
    expected.by_smart_matching = vec![email];
    ensure_eq!(found, expected, "the candidates");
    Ok(())
}
