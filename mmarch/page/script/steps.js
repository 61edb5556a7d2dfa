function drawMap() {}
function goTo() {}
