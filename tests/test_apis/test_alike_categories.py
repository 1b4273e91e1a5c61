"""New categories are compared with what the model in demo/ sees at their objects."""
from mmseg_instbox.apis.alike_categories import find_alike
from mmseg_instbox.apis.model_loading import default_weights
from mmseg_instbox.datasets.annotation_formats import AnnotatedImages


def test_the_category_seen_at_most_pixels_of_the_objects(repo):
    def annotation(number, category, x1, y1, x2, y2):
        return dict(id=number, image_id=number % 2, category_id=category, iscrowd=0,
                    segmentation=[[x1, y1, x2, y1, x2, y2, x1, y2]])

    part = AnnotatedImages(repo / 'demo' / 'samples', dict(
        images=[dict(id=0, file_name='chelsea.jpg'), dict(id=1, file_name='astronaut.jpg')],
        annotations=[annotation(0, 4, 150, 80, 300, 250), annotation(1, 7, 150, 100, 330, 500),
                     annotation(3, 5, 0, 0, 40, 100)],
        categories=[dict(id=4, name='kitten'), dict(id=5, name='wall'), dict(id=7, name='pilot'),
                    dict(id=9, name='unused')]))
    assert find_alike(str(default_weights()), part) == dict(kitten='cat', pilot='person')
