import xml.etree.ElementTree as ET

from augmentlm.distill.curve import write_curve


def test_a_falling_loss_is_drawn_falling(tmp_path):
    rows = "".join(f"{step},{3 - step / 50},0,0\n" for step in range(5, 105, 5))
    (tmp_path / "loss.csv").write_text(f"step,loss,learning_rate,tokens_per_second\n{rows}", encoding="utf-8")
    write_curve(tmp_path / "loss.csv", tmp_path / "loss.svg")
    lines = ET.parse(tmp_path / "loss.svg").getroot().findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    for line in lines:
        heights = [float(point.split(",")[1]) for point in line.get("points").split()]
        assert len(heights) == 20 and heights == sorted(heights)  # y grows downwards in SVG


def test_one_point_is_no_curve(tmp_path):
    (tmp_path / "loss.csv").write_text("step,loss\n5,2.0\n", encoding="utf-8")
    write_curve(tmp_path / "loss.csv", tmp_path / "loss.svg")
    assert not (tmp_path / "loss.svg").exists()
