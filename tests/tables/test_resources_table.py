"""From records to the text of the table on time and memory."""

from example_results import arrays_of, join, record_of

from benchmark.tables.resources import resources_table


def record(method, seed, **changed):
    return record_of("ml2000", method, seed, **changed), arrays_of("ml2000", method, seed)


def texts(block):
    return {row.title: [cell.text for cell in row.cells] for row in (*block.rows, *block.below_rule)}


def test_hand_worked_jobs_become_text():
    """Two seeds of a method; a third failed, and counts nowhere."""
    results = join(
        [
            record("M3LA", 0, seconds={"load": 1.0, "fit": 2.0}, processor_seconds=1800.0, peak_mib=500.2),
            record("M3LA", 1, seconds={"load": 1.0, "fit": 6.0}, processor_seconds=5400.0, peak_mib=499.0),
            record(
                "M3LA", 2, status="failed", seconds={"total": 900.0}, processor_seconds=900.0, peak_mib=900.0
            ),
            record("BR", 0, seconds={"fit": 0.5}, processor_seconds=0.0, peak_mib=100.0),
        ]
    )
    table = resources_table(results)
    processor, clock, memory = table.blocks
    assert [block.groups[0].title for block in table.blocks] == [
        "processor seconds",
        "seconds by the clock",
        "memory, MiB",
    ]
    assert processor.columns == ("ML2000†",)
    assert texts(processor) == {"BR": ["–"], "M3LA": ["3600.0±2545.6"]}  # 3600 / sqrt(2)
    assert texts(clock) == {"BR": ["0.5"], "M3LA": ["5.0±2.8"]}  # 4 / sqrt(2)
    assert texts(memory) == {"BR": ["100"], "M3LA": ["500"]}
    assert "Processor hours of all: ML2000 2.00 (jobs: 2). They ran on Intel 6." in table.caption


def test_what_a_look_alike_took_is_grey_and_own_rows_stand_below():
    methods = ("M3LA", "BR-fair")
    entries = [(record_of("fcvid", name, 0), arrays_of("fcvid", name, 0)) for name in methods]
    for block in resources_table(join(entries)).blocks:
        assert [row.title for row in block.rows] == ["M3LA"]
        assert [row.title for row in block.below_rule] == ["BR-fair"]
        assert block.rows[0].cells[0].grey


def test_without_a_finished_job_the_table_says_so():
    table = resources_table(join([record("M3LA", 0, status="failed")]))
    assert (table.number, table.blocks) == ("R", ())
    assert "no finished job" in table.caption
