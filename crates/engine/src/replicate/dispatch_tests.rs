//! What an open chunk remembers of the log.

use super::*;
use crate::change::Operation;
use crate::fixture::{column, definition, plan_of, table_plan};
use godwit_model::definition::Kind;
use godwit_model::row::RowBuilder;

fn place(offset: u64) -> Position {
    Position { file: "b.000001".into(), offset, ..Position::default() }
}

fn dispatcher(touched_bytes: usize) -> Dispatcher {
    let columns = vec![column("id", Kind::VarBinary), column("v", Kind::Int { unsigned: false })];
    let plan = plan_of(table_plan(definition("d", "t", columns)));
    let limits = LogBudget { touched_bytes, ..LogBudget::default() };
    Dispatcher::new(&plan, place(4), place(4), vec![place(4); 4], &HashMap::new(), Arc::new(Cascades::none()), limits)
}

/// 220 bytes.
fn key(number: u32) -> Row {
    let mut builder = RowBuilder::default();
    builder.push(Some(format!("{number:0>217}").as_bytes()));
    builder.finish()
}

async fn update(dispatcher: &Dispatcher, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let kind = ChangeKind::Upsert { key: key(number), row: key(number), unique_touched: false, operation: Operation::Update };
        let offset = dispatcher.position().offset + 100;
        let began = Began { id: &TransactionId::Anonymous, file: "b.000001", offset: offset - 50 };
        let end = End { position: place(offset), replay_from: None, committed_at: None };
        dispatcher.end(vec![Change { table: 0, kind }], &began, end).await.unwrap();
        // Nobody applies what is in the queues.
        dispatcher.lanes.iter().for_each(|lane| lane.items().clear());
    }
}

async fn written(dispatcher: &Dispatcher, ticket: ChunkTicket) -> DropSet {
    match dispatcher.hand_over(ticket).await.unwrap() {
        HandedOver::Write(set, _) => set,
        HandedOver::ReadAgain => panic!("there was room"),
    }
}

#[tokio::test]
async fn touched_keys_are_bounded_and_a_chunk_without_room_is_read_again() {
    let dispatcher = dispatcher(1 << 20);
    let (read, _) = dispatcher.open_chunk(0).await;
    update(&dispatcher, 0..100).await;
    // Its rows are 50 to 149; the log has far to go.
    dispatcher.read(read, ("b.000009", 4), (50..150).map(key));
    let (first, _) = dispatcher.open_chunk(0).await;
    update(&dispatcher, 100..120).await;
    let (second, _) = dispatcher.open_chunk(0).await;
    assert!(!dispatcher.is_pressed());
    update(&dispatcher, 1000..31_000).await;
    assert!(dispatcher.is_pressed());
    assert!(lock(&dispatcher.state).touched_bytes <= (1 << 20) + 100);
    let set = written(&dispatcher, read).await;
    let expected: Vec<u32> = (50..150).filter(|number| *number < 120).collect();
    assert_eq!((50..150).filter(|number| set.contains(&key(*number))).collect::<Vec<_>>(), expected);
    for ticket in [first, second] {
        assert!(matches!(dispatcher.hand_over(ticket).await.unwrap(), HandedOver::ReadAgain));
    }
    assert_eq!(lock(&dispatcher.state).touched_bytes, 0);
    assert!(lock(&dispatcher.state).chunks_of_table.is_empty());
    // It begins anew.
    dispatcher.relieve();
    let (again, _) = dispatcher.open_chunk(0).await;
    update(&dispatcher, 7..8).await;
    let set = written(&dispatcher, again).await;
    assert!(set.contains(&key(7)) && !set.contains(&key(8)));
}

#[tokio::test]
async fn a_chunk_of_a_quiet_table_keeps_what_comes() {
    let dispatcher = dispatcher(1 << 20);
    let (ticket, from) = dispatcher.open_chunk(0).await;
    dispatcher.read(ticket, (&from.file, from.offset), (0..1).map(key));
    update(&dispatcher, 5..6).await;
    assert!(written(&dispatcher, ticket).await.contains(&key(5)));
}

#[tokio::test]
async fn a_change_without_a_lane_is_an_error() {
    let dispatcher = dispatcher(1 << 20);
    let began = Began { id: &TransactionId::Anonymous, file: "b.000001", offset: 4 };
    for kind in [ChangeKind::Insert { row: key(1) }, ChangeKind::Remove { row: key(1) }] {
        let error = dispatcher.part(vec![Change { table: 0, kind }], &began).await.unwrap_err();
        assert!(error.to_string().contains("neither a key nor a lane"), "{error}");
    }
    let kind = ChangeKind::Delete { key: key(1), moved: false };
    let error = dispatcher.part(vec![Change { table: 9, kind }], &began).await.unwrap_err();
    assert!(error.to_string().contains("that the plan does not have"), "{error}");
}
