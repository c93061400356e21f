from dagnats.core.unclaimed import SENT_AGAIN, Unclaimed

A, B = ("a", 1), ("b", 1)


def test_what_is_found_waiting_for_the_first_time_is_left_alone():
    assert Unclaimed().look([A]) == ([], [])


def test_it_is_sent_again_so_often_and_given_up_once():
    unclaimed = Unclaimed()
    looks = [unclaimed.look([A]) for _ in range(SENT_AGAIN + 4)]
    assert looks == [([], []), *[([A], [])] * SENT_AGAIN, ([], [A]), ([], []), ([], [])]


def test_one_that_was_claimed_meanwhile_begins_anew():
    unclaimed = Unclaimed()
    unclaimed.look([A, B])
    assert unclaimed.look([B]) == ([B], [])
    assert unclaimed.look([A, B]) == ([B], [])
