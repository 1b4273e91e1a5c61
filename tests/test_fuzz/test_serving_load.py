"""The real server under a small load, and one process that predicts for long."""
import gc
import json
from itertools import islice

import pytest
import torch

pytest.importorskip('gradio', reason='the page needs the extra "demo"')

import serving_load as tool  # noqa: E402
import soak  # noqa: E402


@pytest.fixture(scope='module')
def inferencer():
    return tool.InstBoxInferencer(device='cpu', show_progress=False)


def test_a_served_model_answers_the_good_and_refuses_the_broken(inferencer):
    images = islice(tool.good_images(), 4)
    good = [tool.Case('good', name, content, tool.expected_view(inferencer, content))
            for name, content in images]
    broken = [tool.Case(kind, name, content, None)
              for kind, name, content in tool.broken_images()]
    cases = [*tool.make_cases(good, broken, 10), *broken]
    with tool.served(1) as (address, pid):
        tool.put_load(address, good * 2, 2, lambda: None)
        warm = tool.resident(pid)
        outcomes = tool.put_load(address, cases, 4, lambda: None)
        grown = tool.resident(pid) / warm - 1
    assert [each.wrong for each in outcomes] == [''] * 15
    assert sum(each.kind == 'good' for each in outcomes) == 9
    assert grown < 0.25  # the long form has a warm-up, and a tighter bound
    assert '| good | 9 | 0 |' in tool.table_of(outcomes)


def test_a_wrong_answer_is_noticed(inferencer):
    content = next(tool.good_images())[1]
    expected = tool.expected_view(inferencer, content)
    assert len(expected['names']) > 0
    view = dict(
        instances=[dict(name=name, score=float(score), area=area,
                        box=[x1, y1, x2 - x1, y2 - y1])
                   for name, score, area, (x1, y1, x2, y2) in zip(
                       expected['names'], expected['scores'], expected['areas'],
                       expected['boxes'].tolist(), strict=True)],
        runs=[number for value in expected['ids'].reshape(-1).tolist() for number in (value, 1)])
    assert tool.differs(view, expected) == ''
    first = view['instances'][0]
    assert tool.differs(dict(view, instances=[dict(first, score=first['score'] + 0.01),
                                              *view['instances'][1:]]), expected) == 'scores'
    assert tool.differs(dict(view, runs=[0, len(view['runs']) // 2]), expected) == 'masks'
    assert tool.differs(dict(view, instances=[]), expected) == 'other categories'
    annotations = [dict(segmentation=mask) for mask in expected['masks']]
    assert tool.saved_differs(json.dumps(dict(annotations=annotations)), expected) == ''
    assert tool.saved_differs(json.dumps(dict(annotations=annotations[1:])), expected)


def test_memory_that_stays_and_memory_that_grows():
    flat = [(10, 400), (20, 500), (30, 500), (40, 505)]
    assert soak.growth_of(flat, 20) == pytest.approx(0.01)
    assert soak.growth_of([(10, 400), (20, 500), (30, 600)], 10) == pytest.approx(0.5)


def test_predicting_again_and_again_keeps_nothing(inferencer):
    """Objects that stay are counted, which is surer than memory in so few rounds."""
    images = [soak.decode_image(content, name)
                for name, content in islice(tool.good_images(), 2)]

    def alive():
        gc.collect()
        return sum(isinstance(each, torch.Tensor) for each in gc.get_objects())

    soak.soak(inferencer, images, 2)
    before = alive()
    notes, same = soak.soak(inferencer, images, 6)
    assert same and [number for number, _ in notes] == [2, 4, 6]
    assert alive() == before
