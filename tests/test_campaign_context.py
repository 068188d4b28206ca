"""The context table: columns by name, dates with zones, bad rows by line, and the join."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.campaign.context import Place, by_folder, join
from detector.campaign.dates import OrderError, parse_date
from detector.campaign.table import parse_table
from detector.errors import UsageError

UTC = timezone.utc
CELLS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)


def table(*rows: str) -> bytes:
    return "\n".join(rows).encode()


def place(path: str, sha256: str = "") -> Place:
    sha256 = sha256 or path.encode().hex().ljust(64, "0")[:64]
    return Place(path, f"/data/{path}", sha256, sha256)


def test_columns_are_known_by_many_names_and_unknown_ones_are_kept() -> None:
    read = parse_table(
        table(
            "Likes;Image File;User Name;Lang;Posted at (UTC);Permalink;Caption",
            "7;a/1.jpg;account-a;fr;2026-01-05 08:30;https://example.org/1;Bonjour",
        )
    )

    row = read.rows[0]
    assert (row.file, row.post.account, row.post.language) == ("a/1.jpg", "account-a", "fr")
    assert row.post.posted_at == datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
    assert (row.post.url, row.post.text) == ("https://example.org/1", "Bonjour")
    assert dict(row.post.extra) == {"Likes": "7"}
    assert row.post.line == 2
    assert read.columns["posted_at"] == "Posted at (UTC)"


def test_bad_rows_are_told_by_line_and_the_others_read() -> None:
    read = parse_table(
        table(
            "file,account,date",
            "1.jpg,account-a,2026-01-05",
            ",account-b,2026-01-05",
            '"2.jpg","two',
            'lines",yesterday',
            "3.jpg,account-c,2026-01-05,too,many",
            "",
            "4.jpg,account-d,2026-01-06",
        )
    )

    assert [(row.post.line, row.file) for row in read.rows] == [
        (2, "1.jpg"),
        (4, "2.jpg"),
        (8, "4.jpg"),
    ]
    assert {bad.line for bad in read.bad} == {3, 4, 6}
    assert "not a date" in next(bad.reason for bad in read.bad if bad.line == 4)
    assert read.rows[1].post.posted_at is None


def test_a_table_that_names_no_image_is_refused() -> None:
    with pytest.raises(UsageError, match="file or sha256"):
        parse_table(table("account,date", "account-a,2026-01-05"), "posts.csv")
    with pytest.raises(UsageError):
        parse_table(b"")


def test_parquet_is_read_with_its_types() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    when = datetime(2026, 1, 5, 8, tzinfo=timezone(timedelta(hours=2)))
    columns = {"file": ["1.jpg", None], "posted_at": [when, when], "likes": [3, 4]}
    parquet.write_table(pyarrow.table(columns), stream)

    read = parse_table(stream.getvalue())

    assert read.rows[0].post.posted_at == when
    assert dict(read.rows[0].post.extra) == {"likes": "3"}
    assert [bad.line for bad in read.bad] == [3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_any_spreadsheet_are_read(encoding: str) -> None:
    read = parse_table("file\taccount\ncafé.jpg\taccount-é\n".encode(encoding))

    assert (read.rows[0].file, read.rows[0].post.account) == ("café.jpg", "account-é")


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for head in (b"", b"file,account,date\n"):
        try:
            read = parse_table(head + data)
        except UsageError:
            continue
        assert len(read.rows) <= read.count
        assert all(row.file or row.sha256 for row in read.rows)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8))
def test_whatever_a_cell_holds_comes_back(rows: list[tuple[str, str, str]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["file", "account", "mood"])
    writer.writerows([f"{i}.jpg", account, mood] for i, (account, mood, _) in enumerate(rows))

    read = parse_table(stream.getvalue().encode())

    found = [(row.post.account, row.post.extra.get("mood", "")) for row in read.rows]
    assert found == [(account.strip(), mood.strip()) for account, mood, _ in rows]
    assert read.bad == ()


# Dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T08:30:00Z", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("2026-01-05 08:30:00.250 UTC", datetime(2026, 1, 5, 8, 30, 0, 250000, tzinfo=UTC)),
        ("2026-01-05T08:30+02:00", datetime(2026, 1, 5, 6, 30, tzinfo=UTC)),
        ("2026/1/5 8:30", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("05.01.2026 08:30", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("13/01/2026", datetime(2026, 1, 13, tzinfo=UTC)),
        ("01/13/2026 08:30 PM", datetime(2026, 1, 13, 20, 30, tzinfo=UTC)),
        ("1767601800", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("1767601800500", datetime(2026, 1, 5, 8, 30, 0, 500000, tzinfo=UTC)),
        ("Mon, 05 Jan 2026 08:30:00 +0000", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("Mon Jan 05 08:30:00 +0000 2026", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_platforms_write_them(text: str, expected: datetime) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-02-30", "2026-01-05 08:30 CET", "99:99", "12"])
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is shown to people as it is
        parse_date(text)


def test_one_clear_date_says_how_the_column_is_read() -> None:
    with pytest.raises(OrderError):
        parse_date("03/04/2026")
    day_first = parse_table(table("file,date", "1.jpg,03/04/2026", "2.jpg,25/04/2026"))
    month_first = parse_table(table("file,date", "1.jpg,03/04/2026", "2.jpg,04/25/2026"))
    neither = parse_table(table("file,date", "1.jpg,03/04/2026"))

    assert day_first.rows[0].post.posted_at == datetime(2026, 4, 3, tzinfo=UTC)
    assert month_first.rows[0].post.posted_at == datetime(2026, 3, 4, tzinfo=UTC)
    assert neither.rows[0].post.posted_at is None
    assert len(neither.bad) == 1


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)
def test_a_date_that_was_written_is_read_back(moment: datetime, zone: timezone) -> None:
    moment = moment.replace(tzinfo=zone)

    assert parse_date(moment.isoformat()) == moment
    assert parse_date(moment.isoformat(" ", "minutes")) == moment.replace(second=0, microsecond=0)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader_of_dates(text: str) -> None:
    try:
        found = parse_date(text, True)
    except ValueError:
        return
    assert found.tzinfo is not None


# The join


def joined(places: list[Place], *files: str) -> tuple[dict[str, int], list[int], list[int]]:
    context = join(parse_table(table("file", *files)), places)
    posts = {key: len(found) for key, found in context.posts.items()}
    return posts, list(context.summary.unmatched), [bad.line for bad in context.summary.bad]


def test_rows_meet_images_by_hash_path_end_of_path_and_name() -> None:
    places = [place("in/a/1.jpg"), place("in/b/1.jpg"), place("in/b/2.jpg")]
    sha = places[0].sha256

    assert joined(places, "in/a/1.jpg") == ({sha: 1}, [], [])
    assert joined(places, "a/1.jpg") == ({sha: 1}, [], [])
    assert joined(places, r"C:\collected\in\a\1.jpg")[0] == {sha: 1}
    assert joined(places, "A/1.JPG")[0] == {sha: 1}
    assert joined(places, "elsewhere/2.jpg")[0] == {places[2].sha256: 1}
    by_hash = join(parse_table(table("sha256,file", f"{sha.upper()},wrong.jpg")), places)
    assert list(by_hash.posts) == [sha]


def test_a_name_that_fits_two_images_is_reported_and_not_guessed() -> None:
    places = [place("in/a/1.jpg"), place("in/b/1.jpg")]

    assert joined(places, "1.jpg") == ({}, [], [2])
    assert joined(places, "3.jpg") == ({}, [2], [])
    same = [place("in/a/1.jpg", "a" * 64), place("in/b/1.jpg", "a" * 64)]
    assert joined(same, "1.jpg") == ({"a" * 64: 1}, [], [])


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c.jpg", "d.jpg"]), min_size=1, max_size=4).map(
            "/".join
        ),
        unique=True,
        min_size=1,
        max_size=6,
    )
)
def test_an_exact_path_always_meets_its_own_image(paths: list[str]) -> None:
    places = [place(path) for path in paths]
    for wanted in places:
        posts, unmatched, bad = joined(places, wanted.path)
        assert (posts, unmatched, bad) == ({wanted.sha256: 1}, [], [])


def test_without_a_table_the_folder_below_the_root_is_the_account() -> None:
    places = [place("in/a/2026/1.jpg"), place("in/b/2.jpg"), place("in/3.jpg"), place("x/4.jpg")]

    found = by_folder(places, ["in"])

    accounts = [found.posts[p.key][0].account for p in places]
    assert accounts == ["a", "b", "in", "x"]
