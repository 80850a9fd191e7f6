"""One stream over several sessions: downloads N times as fast as the agent's pace for one."""
