import json

import pytest

from papers._template import __main__ as command
from papers._template.counts import Counts, count_by_relation, read_prompts
from papers._template.items import table_1
from shared.errors import DataError
from shared.report.tables import NO_REFERENCE, read_csv

PROMPTS = [("P19", "Ada was born in"), ("P19", "Bo Kant was born in"), ("P27", "Ada lives in")]


def write(path, prompts=("{} was born in",)):
    requests = [{"prompt": prompt, "subject": "Ada", "relation_id": "P19"} for prompt in prompts]
    path.write_text(json.dumps([{"requested_rewrite": request} for request in requests]))
    return path


def test_counts_by_relation():
    counts = count_by_relation(PROMPTS, min_records=2)
    assert counts == {"all": Counts(3, 4.0), "P19": Counts(2, 4.5)}


@pytest.mark.parametrize("prompt", ["no slot", "{} and {}"])
def test_a_prompt_needs_exactly_one_slot(tmp_path, prompt):
    assert read_prompts(write(tmp_path / "right.json")) == [("P19", "Ada was born in")]
    with pytest.raises(DataError, match="wrong.json, record 1.*slots, expected one"):
        read_prompts(write(tmp_path / "wrong.json", ["{} was born in", prompt]))


def test_table_and_command_line(tmp_path, capsys):
    cases = write(tmp_path / "cases.json")
    reported = tmp_path / "reported.csv"
    reported.write_text(
        "item,model,method,dataset,metric,value,ci,n,unit,source,note\n"
        "table_1,-,all,counterfact,records,21919,,,count,Table 2,\n"
    )
    files = {name: str(tmp_path / f"t.{name}") for name in ("csv", "markdown", "page")}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    table_1.main(["--counterfact", str(cases), "--min-records", "1", "--reported", str(reported), *options])
    first = read_csv(files["csv"]).iloc[0]
    assert (first["value"], first["paper_value"], first["status"]) == (1, 21919, NO_REFERENCE)
    assert command.main(["count", "--cases", str(cases)]) == 0
    assert capsys.readouterr().out.startswith("all\t1 records\t4.0 words")
    assert command.main(["count", "--cases", str(tmp_path / "absent.json")]) == 1
