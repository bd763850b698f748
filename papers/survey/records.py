"""The cases of the survey: an edit, other wordings, what shall stay, and the probes of every family.

One schema serves the generated world and the public files, decoders (prompts) and encoder-decoders (questions).
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from papers.survey.contract import FAMILIES, PORTABILITY
from shared.data.reading import read_records, refuse_duplicates
from shared.data.requests import Case, EditRequest, FamilyProbe, QuestionAnswer, Template, Text


class SurveyProbe(BaseModel):
    """A prompt and a question that the same answer follows; `wrong` is the other choice, where there are two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Text
    question: Text
    answer: Text
    wrong: Text | None = None


class SurveyRecord(BaseModel):
    """One case; `papers.survey.contract` says what its fields mean.

    Attributes:
        locality: what an edit should not reach, beside the neighborhood.
        probes: by family; a family that the case has no probes of is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: int
    subject: Text
    relation_id: str | None = None
    prompt: Template
    question: Text
    target_new: Text
    target_true: Text | None = None
    paraphrase_prompts: tuple[Text, ...] = ()
    paraphrase_questions: tuple[Text, ...] = ()
    neighborhood_prompts: tuple[Text, ...] = ()
    neighborhood_questions: tuple[Text, ...] = ()
    locality: tuple[SurveyProbe, ...] = ()
    probes: dict[str, tuple[SurveyProbe, ...]] = {}

    def case(self) -> Case:
        """Return the record as every editing method and evaluation of decoders takes it."""
        return self._worded("prompt", self.prompt, self.paraphrase_prompts, self.neighborhood_prompts)

    def question_case(self) -> Case | None:
        """Return it with questions as prompts, for encoder-decoders; None if its question has its subject not once."""
        if self.question.count(self.subject) != 1:
            return None
        asked = self.question.replace(self.subject, "{}")
        return self._worded("question", asked, self.paraphrase_questions, self.neighborhood_questions)

    def _worded(self, field: str, prompt: str, paraphrases: tuple[str, ...], neighborhood: tuple[str, ...]) -> Case:
        """Return a case whose probes are asked in the wording that a field of theirs holds."""
        request = EditRequest(
            case_id=self.case_id,
            subject=self.subject,
            relation_id=self.relation_id,
            prompt=prompt,
            target_new=self.target_new,
            target_true=self.target_true,
        )
        return Case(
            request=request,
            paraphrase_prompts=paraphrases,
            neighborhood_prompts=neighborhood,
            locality=tuple(
                QuestionAnswer(prompt=getattr(probe, field), answer=probe.answer) for probe in self.locality
            ),
            family_probes=tuple(
                FamilyProbe(
                    family=family,
                    prompt=getattr(probe, field),
                    answer=probe.answer,
                    wrong=probe.wrong,
                    follows=family in PORTABILITY,
                )
                for family in FAMILIES
                for probe in self.probes.get(family, ())
            ),
        )


def read_survey(path: str | Path) -> list[SurveyRecord]:
    """Read the records of a file, in its order.

    Raises:
        DataError: see `shared.data.reading.read_records`; also duplicate case ids.
    """
    records = read_records(path, SurveyRecord)
    refuse_duplicates(path, (record.case_id for record in records))
    return records


def cases_of(records: Sequence[SurveyRecord]) -> list[Case]:
    """Return the records as cases."""
    return [record.case() for record in records]
