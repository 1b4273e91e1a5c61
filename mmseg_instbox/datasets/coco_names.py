"""Names of COCO's categories, and which of them are VOC's."""

COCO_THINGS = (
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat',
    'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog',
    'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella',
    'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball', 'kite',
    'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
    'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant',
    'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone',
    'microwave', 'oven', 'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase', 'scissors',
    'teddy bear', 'hair drier', 'toothbrush')

COCO_TO_VOC = {
    'person': 'person', 'bird': 'bird', 'cat': 'cat', 'cow': 'cow', 'dog': 'dog', 'horse': 'horse',
    'sheep': 'sheep', 'airplane': 'aeroplane', 'bicycle': 'bicycle', 'boat': 'boat', 'bus': 'bus',
    'car': 'car', 'motorcycle': 'motorbike', 'train': 'train', 'bottle': 'bottle',
    'chair': 'chair', 'dining table': 'diningtable', 'potted plant': 'pottedplant',
    'couch': 'sofa', 'tv': 'tvmonitor'}
