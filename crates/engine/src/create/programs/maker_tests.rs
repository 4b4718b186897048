use super::*;
use crate::schema::program::{Change, ProgramSession};

fn trigger(name: &str, order: u64, before: bool) -> ProgramPlan {
    let source = ProgramName { kind: ProgramKind::Trigger, database: "d".into(), name: name.into() };
    let table = TableName { database: "d".into(), table: "t".into() };
    let moment = Moment { before, change: Change::Insert };
    let definition = ProgramDefinition {
        name: source.clone(),
        session: ProgramSession::default(),
        definer: Default::default(),
        comment: String::new(),
        head: Head::Trigger { table: table.clone(), moment, order },
        body: "SET @x = 1".into(),
        guarded: false,
    };
    ProgramPlan { destination: source.clone(), source, table: Some(table), definition: Ok(definition) }
}

#[test]
fn a_trigger_stands_where_it_stood() {
    let all = [trigger("a", 1, true), trigger("b", 2, true), trigger("c", 3, true), trigger("other", 1, false)];
    let place = |program: usize, there: &[usize]| {
        let programs = there.iter().map(|place| &all[*place]).map(|program| {
            let listed = ListedProgram {
                name: program.destination.clone(),
                table: program.table.clone(),
                definition: program.definition.clone(),
            };
            (program.destination.clone(), listed)
        });
        let there = There { programs: programs.collect(), collations: BTreeMap::new(), accounts: None };
        beside(&all[program], &all, &there)
    };
    assert_eq!(place(0, &[]), None);
    assert_eq!(place(0, &[3]), None);
    assert_eq!(place(2, &[0, 1]), Some(Beside::Follows("b".into())));
    // The one between could not be made.
    assert_eq!(place(2, &[0]), Some(Beside::Follows("a".into())));
    assert_eq!(place(0, &[1, 2, 3]), Some(Beside::Precedes("b".into())));
    assert_eq!(place(1, &[0, 2]), Some(Beside::Follows("a".into())));
}
